-- The next rows by id: $1 after this id, $2 except these ids, $3 at most so many rows, $4 bytes, $5 up to this id.
--
-- A row that has more than $4 bytes, or may have more because an exact answer would cost too much, comes as "cut",
-- without its texts and its payload: there the reader stops and goes on with fetch_next_exact.sql, which costs about
-- twice as much.
--
-- A row that was written for a later time comes as "scheduled", without headers and payload, and is never cut. Its
-- time may have come by now: the moment of the relay's look must not decide whether the row gets a new place. A row that
-- was due already when it was written is a message like any other; so is one that has got its new place (wake.sql).
--
-- "not in (select unnest())" makes a hash table once, while "<> all()" with a parameter compares with each element for
-- each row.
--
-- Headers that are small on the disk can be a gigabyte as text: compressed ones, and numbers like 1e100000. Here they
-- become text only if they have few bytes and are not compressed: then they hold at most 40 numbers of 131 KiB.
select id, message_id, created_at, key_hash, ordered, scheduled, null::text as withheld,
    not scheduled
        and ((bytes + coalesce(octet_length(headers_text), 0) <= $4::int8) is not true
            or (has_headers and headers_text is null)) as cut,
    case when bytes <= $4::int8 then exchange end as exchange,
    case when bytes <= $4::int8 then routing_key end as routing_key,
    case when bytes <= $4::int8 then key end as key,
    case when bytes <= $4::int8 then type end as type,
    case when bytes <= $4::int8 then content_type end as content_type,
    case when bytes + octet_length(headers_text) <= $4::int8 then headers_text end as headers,
    case
        when scheduled then ''
        when bytes + coalesce(octet_length(headers_text), 0) <= $4::int8 then payload
    end as payload
from (
    select id, message_id, created_at, hashtextextended(key, 0) as key_hash, key is not null as ordered,
        exchange, routing_key, key, type, content_type, payload, headers is not null as has_headers,
        case
            when headers is null or deliver_after > created_at then null
            when pg_column_size(headers) <= 500 and pg_column_compression(headers) is null then headers::text
        end as headers_text,
        coalesce(deliver_after > created_at, false) as scheduled,
        octet_length(payload)::int8 + octet_length(routing_key) + coalesce(octet_length(exchange), 0)
            + coalesce(octet_length(key), 0) + coalesce(octet_length(type), 0)
            + coalesce(octet_length(content_type), 0) as bytes
    from :"schema".outbox
    where id > $1::int8
        and id <= $5::int8
        and id not in (select unnest($2::int8[]))
    order by id
    limit $3::int8
) as next
order by id
