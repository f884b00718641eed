-- Remembers messages: {1 if the epoch is another, ''}.
-- KEYS: epoch, hints. ARGV: epoch, time to live in milliseconds.
for i = 2, #KEYS do
    redis.call('SET', KEYS[i], '1', 'PX', ARGV[2])
end
return {redis.call('GET', KEYS[1]) ~= ARGV[1] and 1 or 0, ''}
