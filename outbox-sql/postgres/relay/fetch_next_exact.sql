-- As fetch_next.sql, but $5 bounds the bytes of all rows together: a row is whole if those before it have fewer bytes
-- than $5, so the first always is. One row more comes without headers and payload; it says that there is more.
-- The size of a large payload is known without reading it.
select id, message_id, created_at, key_hash, exchange, routing_key, key, type, content_type,
    case when bytes_before < $5::int8 then headers end as headers,
    case when bytes_before < $5::int8 then payload end as payload
from (
    select id, message_id, created_at, hashtextextended(key, 0) as key_hash, exchange, routing_key, key, type,
        content_type, headers, payload,
        coalesce(sum(octet_length(payload) + coalesce(pg_column_size(headers), 0))
            over (order by id rows between unbounded preceding and 1 preceding), 0) as bytes_before,
        coalesce(sum(octet_length(payload) + coalesce(pg_column_size(headers), 0))
            over (order by id rows between unbounded preceding and 2 preceding), 0) as bytes_before_last
    from outbox
    where id > $1::int8
        and id <= $6::int8
        and id not in (select unnest($2::int8[]))
        and (key is null or hashtextextended(key, 0) not in (select unnest($3::int8[])))
        and (deliver_after is null or deliver_after <= now())
    order by id
    limit $4::int8
) as candidate
where bytes_before_last < $5::int8
order by id
