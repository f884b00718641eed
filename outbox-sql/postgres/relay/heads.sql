-- All messages that hold back their key, or, without a key, only themselves: held messages that are tried again, and
-- dead ones that were not skipped. Also "orphans": for keys whose waiting messages have none of these before them,
-- because an operator discarded it, the first waiting message. Keys with waiting messages are found by one step along
-- the index for each key, without reading all that waits.
with recursive
    head as materialized (
        select id, hashtextextended(key, 0) as key_hash, key is not null and not skipped as ordered,
            state = 'dead' as dead, attempts, next_attempt_at
        from :"schema".outbox_held
        where state = 'retrying'
            or (state = 'dead' and not skipped)
    ),
    waiting as (
        (
            select hashtextextended(key, 0) as key_hash, id
            from :"schema".outbox_held
            where state = 'waiting'
            order by hashtextextended(key, 0), id
            limit 1
        )
        union all
        select following.key_hash, following.id
        from waiting
        cross join lateral (
            select hashtextextended(key, 0) as key_hash, id
            from :"schema".outbox_held
            where state = 'waiting'
                and hashtextextended(key, 0) > waiting.key_hash
            order by hashtextextended(key, 0), id
            limit 1
        ) as following
    )
select id, coalesce(key_hash, 0) as key_hash, ordered, dead, false as orphans, attempts,
    case
        when dead or next_attempt_at is null or next_attempt_at <= now() then 0
        when next_attempt_at = 'infinity' then 9223372036854775807
        else (extract(epoch from next_attempt_at - now()) * 1000000)::int8
    end as retry_in_us
from head
union all
select id, key_hash, true, false, true, 0, 0
from waiting
where key_hash not in (select key_hash from head where ordered)
order by key_hash, id
