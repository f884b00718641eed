-- The message that release.sql would move first, and the hash of its key: the lowest id that waits behind the keys with
-- the hashes $1.
select waiting.id, key.key_hash
from (select distinct key_hash from unnest($1::int8[]) as key_hash) as key
cross join lateral (
    select id
    from :"schema".outbox_held
    where hashtextextended(outbox_held.key, 0) = key.key_hash
        and state = 'waiting'
    order by id
    limit 1
) as waiting
order by waiting.id
limit 1
