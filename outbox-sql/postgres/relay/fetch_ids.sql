-- Those of the rows $1 that still exist and are due: $2 at most so many rows, $3 bytes of all together as in fetch_next_exact.sql.
select id, message_id, created_at, key_hash, key is not null as ordered, 0::int8 as due_in_us, false as withheld,
    bytes_before >= $3::int8 as cut, exchange, routing_key, key, type, content_type,
    case when bytes_before < $3::int8 then headers end as headers,
    case when bytes_before < $3::int8 then payload end as payload
from (
    select id, message_id, created_at, hashtextextended(key, 0) as key_hash, exchange, routing_key, key, type,
        content_type, headers, payload,
        coalesce(sum(octet_length(payload) + coalesce(pg_column_size(headers), 0))
            over (order by id rows between unbounded preceding and 1 preceding), 0) as bytes_before,
        coalesce(sum(octet_length(payload) + coalesce(pg_column_size(headers), 0))
            over (order by id rows between unbounded preceding and 2 preceding), 0) as bytes_before_last
    from outbox
    where id = any($1::int8[])
        and (deliver_after is null or deliver_after <= now())
    order by id
    limit $2::int8
) as candidate
where bytes_before_last < $3::int8
order by id
