-- Makes sure that the epoch is of this process of Redis: says the epoch, and the one that it replaced or ''.
-- KEYS: epoch. ARGV: run_id of the process ('' if not known: any epoch is good), a new epoch.
local epoch = redis.call('GET', KEYS[1])
if epoch and string.sub(epoch, 1, #ARGV[1]) == ARGV[1] then
    return {epoch, ''}
end
redis.call('SET', KEYS[1], ARGV[2])
return {ARGV[2], epoch or ''}
