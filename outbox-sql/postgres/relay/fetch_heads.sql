-- Held messages that are to be tried again now: $1 except these ids, $2 at most so many rows, $3 bytes of all together as
-- in fetch_next_exact.sql, $4 the most bytes that a message can have. One that was skipped goes as if it had no key.
-- One that somebody is changing is left for later: the relay would have to wait for it to tell what became of the try.
select id, message_id, created_at, key_hash, ordered, false as scheduled, withheld, bytes_before >= $3::int8 as cut,
    exchange, routing_key, key, type, content_type,
    case when not withheld and bytes_before < $3::int8 then headers end as headers,
    case when withheld then '' when bytes_before < $3::int8 then payload end as payload
from (
    select *,
        coalesce(sum(case when not withheld then bytes end)
            over (order by next_attempt_at, id rows between unbounded preceding and 1 preceding), 0) as bytes_before,
        coalesce(sum(case when not withheld then bytes end)
            over (order by next_attempt_at, id rows between unbounded preceding and 2 preceding), 0)
            as bytes_before_last
    from (
        select id, message_id, created_at, next_attempt_at, hashtextextended(key, 0) as key_hash,
            key is not null and not skipped as ordered, exchange, routing_key, key, type, content_type, headers, payload,
            octet_length(payload) + coalesce(pg_column_size(headers), 0) as bytes,
            octet_length(payload) + coalesce(pg_column_size(headers), 0) > $4::int8 as withheld
        from :"schema".outbox_held
        where state = 'retrying'
            and next_attempt_at <= now()
            and id not in (select unnest($1::int8[]))
        order by next_attempt_at, id
        limit $2::int8
        for share skip locked
    ) as due
) as counted
where bytes_before_last < $3::int8
order by next_attempt_at, id
