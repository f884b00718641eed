-- All that keeps a key back, or itself if it has none: held messages that are tried again, dead ones that were not
-- skipped; and of keys that have messages waiting behind none of these, the first of the waiting ("orphans": an operator
-- discarded what they waited for). Keys with waiting messages are found by one step along the index for each, not by
-- reading what waits.
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
