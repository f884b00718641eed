-- Takes the lease of a message: {0, what} with what = 'first', 'duplicate' or the milliseconds that the lease of
-- somebody else has left; or {1, ''} and nothing done if the epoch is another.
-- KEYS: epoch, claim. ARGV: epoch, token, lease in milliseconds.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return {1, ''}
end
if redis.call('SET', KEYS[2], 'P:' .. ARGV[2], 'NX', 'PX', ARGV[3]) then
    return {0, 'first'}
end
if string.sub(redis.call('GET', KEYS[2]), 1, 2) == 'D:' then
    return {0, 'duplicate'}
end
return {0, tostring(redis.call('PTTL', KEYS[2]))}
