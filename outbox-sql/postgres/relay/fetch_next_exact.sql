-- As fetch_next.sql, but $4 bounds the bytes of all rows together: a row is whole if those before it have fewer bytes
-- than $4, so the first always is. One row more comes cut; it says that there is more.
-- The size of a large payload is known without reading it.
select id, message_id, created_at, key_hash, ordered, scheduled, withheld, bytes_before >= $4::int8 as cut,
    exchange, routing_key, key, type, content_type,
    case when not empty and bytes_before < $4::int8 then headers end as headers,
    case when empty then '' when bytes_before < $4::int8 then payload end as payload
from (
    select *,
        coalesce(sum(case when not empty then bytes end)
            over (order by id rows between unbounded preceding and 1 preceding), 0) as bytes_before,
        coalesce(sum(case when not empty then bytes end)
            over (order by id rows between unbounded preceding and 2 preceding), 0) as bytes_before_last
    from (
        select *, scheduled or withheld as empty
        from (
            select id, message_id, created_at, hashtextextended(key, 0) as key_hash, key is not null as ordered,
                exchange, routing_key, key, type, content_type, headers, payload,
                coalesce(deliver_after > created_at, false) as scheduled,
                coalesce(octet_length(payload), 0) + coalesce(pg_column_size(headers), 0) as bytes,
                coalesce(octet_length(payload), 0) + coalesce(pg_column_size(headers), 0) > $6::int8 as withheld
            from :"schema".outbox
            where id > $1::int8
                and id <= $5::int8
                and id not in (select unnest($2::int8[]))
            order by id
            limit $3::int8
        ) as next
    ) as sized
) as counted
where bytes_before_last < $4::int8
order by id
