-- Rows that were not to go before a time which has come: $1 except these ids, $2 except keys with these hashes, $3 at
-- most so many rows, $4 bytes of all together as in fetch_next_exact.sql, $5 up to this id: those above it come with
-- fetch_next.sql, behind what was written before them.
select id, message_id, created_at, key_hash, key is not null as ordered, 0::int8 as due_in_us, false as withheld,
    bytes_before >= $4::int8 as cut, exchange, routing_key, key, type, content_type,
    case when bytes_before < $4::int8 then headers end as headers,
    case when bytes_before < $4::int8 then payload end as payload
from (
    select id, message_id, created_at, hashtextextended(key, 0) as key_hash, exchange, routing_key, key, type,
        content_type, headers, payload, deliver_after,
        coalesce(sum(octet_length(payload) + coalesce(pg_column_size(headers), 0))
            over (order by deliver_after, id rows between unbounded preceding and 1 preceding), 0) as bytes_before,
        coalesce(sum(octet_length(payload) + coalesce(pg_column_size(headers), 0))
            over (order by deliver_after, id rows between unbounded preceding and 2 preceding), 0)
            as bytes_before_last
    from outbox
    where deliver_after is not null
        and deliver_after <= now()
        and id <= $5::int8
        and id not in (select unnest($1::int8[]))
        and (key is null or hashtextextended(key, 0) not in (select unnest($2::int8[])))
    order by deliver_after, id
    limit $3::int8
) as candidate
where bytes_before_last < $4::int8
order by deliver_after, id
