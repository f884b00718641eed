-- Everything that holds a key back, or only itself if it has no key: held messages that are retried, and dead ones that
-- are not skipped; and for keys with waiting messages but none of these, the first waiting one ("orphans": an operator
-- discarded the message that they waited for). Of the waiting messages only the index is read; MySQL takes one step for
-- each key in it (which is why "state" is in the group by), MariaDB reads its whole part of the index: 80 ms for 200,000
-- waiting messages.
select id, key_hash, `key` is not null and not skipped as ordered, state = 'dead' as dead, false as orphans, attempts,
    case
        when state = 'dead' or next_attempt_at is null then 0
        else greatest(timestampdiff(microsecond, utc_timestamp(6), next_attempt_at), 0)
    end as retry_in_us
from outbox_held force index (outbox_held_heads)
where state = 'retrying'
    or (state = 'dead' and skipped = 0)
union all
select waiting.id, waiting.key_hash, true, false, true, 0, 0
from (
    select key_hash, min(id) as id
    from outbox_held force index (outbox_held_waiting)
    where state = 'waiting'
    group by state, key_hash
) as waiting
where not exists (
    select 1
    from outbox_held as head force index (outbox_held_heads)
    where head.state in ('retrying', 'dead')
        and head.skipped = 0
        and head.key_hash = waiting.key_hash
)
order by key_hash, id
