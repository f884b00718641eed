-- Records that a message is done, unless somebody else holds its lease or has done it. The token stays in the value, so
-- that the same call again has the same answer: {1 if the epoch is another, 'held' or 'lost'}.
-- KEYS: epoch, claim. ARGV: epoch, token, time to live in milliseconds.
local other = redis.call('GET', KEYS[1]) ~= ARGV[1]
local value = redis.call('GET', KEYS[2])
local held = value == 'P:' .. ARGV[2] or value == 'D:' .. ARGV[2]
if held or not value then
    redis.call('SET', KEYS[2], 'D:' .. ARGV[2], 'PX', ARGV[3])
end
return {other and 1 or 0, held and 'held' or 'lost'}
