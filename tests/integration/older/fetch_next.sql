-- The next rows by id: $1 after this id, $2 except these ids, $3 at most so many rows, $4 bytes, $5 up to this id, $6 the
-- most bytes that a message can have. A row with more bytes than $4 comes "cut", without headers and payload: there the
-- reader stops and goes on with fetch_next_exact.sql, which costs about twice as much. What cannot go now comes without
-- them too, and is not cut: it is not due yet, or "withheld" because it is larger than $6.
-- "not in (select unnest())" makes a hash table once, where "<> all()" with a parameter compares with each element for
-- each row. The difference to 'infinity' would be an error.
select id, message_id, created_at, key_hash, ordered, due_in_us, withheld, not empty and bytes > $4::int8 as cut,
    exchange, routing_key, key, type, content_type,
    case when not empty and bytes <= $4::int8 then headers end as headers,
    case when empty then '' when bytes <= $4::int8 then payload end as payload
from (
    select *, due_in_us > 0 or withheld as empty
    from (
        select id, message_id, created_at, hashtextextended(key, 0) as key_hash, key is not null as ordered, exchange,
            routing_key, key, type, content_type, headers, payload,
            case
                when deliver_after is null or deliver_after <= now() then 0
                when deliver_after = 'infinity' then 9223372036854775807
                else (extract(epoch from deliver_after - now()) * 1000000)::int8
            end as due_in_us,
            coalesce(octet_length(payload), 0) + coalesce(pg_column_size(headers), 0) as bytes,
            coalesce(octet_length(payload), 0) + coalesce(pg_column_size(headers), 0) > $6::int8 as withheld
        from outbox
        where id > $1::int8
            and id <= $5::int8
            and id not in (select unnest($2::int8[]))
        order by id
        limit $3::int8
    ) as next
) as sized
order by id
