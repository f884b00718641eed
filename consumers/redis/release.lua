-- Gives a lease back if it is still ours: {1 if the epoch is another, 'held' or 'lost'}.
-- KEYS: epoch, claim. ARGV: epoch, token.
local other = redis.call('GET', KEYS[1]) ~= ARGV[1]
local held = redis.call('GET', KEYS[2]) == 'P:' .. ARGV[2]
if held then
    redis.call('DEL', KEYS[2])
end
return {other and 1 or 0, held and 'held' or 'lost'}
