-- Like fetch_next.sql, but $4 bounds the bytes of all rows together: a row is whole if those before it have fewer bytes
-- than $4, so the first one always is. One more row comes as "cut", to say that there is more. $6 is the most bytes
-- that a message can have; $7 why the rows cannot be read (NULL: they can).
--
-- A row comes as "withheld", with the reason and without its texts and its payload, if it is larger than any message
-- can be or than RabbitMQ accepts, or if $7 is given. It is not cut.
--
-- The size of a large payload is known without reading it. Headers that may be large are measured before they become
-- text: their size without compression (|| returns its left side uncompressed), and the digits of their numbers, of
-- which only as many are looked at as needed. "offset 0" makes the server do each of these once.
select id, message_id, created_at, key_hash, ordered, scheduled, withheld, bytes_before >= $4::int8 as cut,
    case when wanted and bytes_before < $4::int8 then exchange end as exchange,
    case when wanted and bytes_before < $4::int8 then routing_key end as routing_key,
    case when wanted and bytes_before < $4::int8 then key end as key,
    case when wanted and bytes_before < $4::int8 then type end as type,
    case when wanted and bytes_before < $4::int8 then content_type end as content_type,
    case when wanted and bytes_before < $4::int8 then headers_text end as headers,
    case when not wanted then '' when bytes_before < $4::int8 then payload end as payload
from (
    select *,
        coalesce(sum(case when wanted then bytes end)
            over (order by id rows between unbounded preceding and 1 preceding), 0) as bytes_before,
        coalesce(sum(case when wanted then bytes end)
            over (order by id rows between unbounded preceding and 2 preceding), 0) as bytes_before_last
    from (
        select *, not scheduled and withheld is null as wanted, coalesce(size + octet_length(headers_text), size) as bytes
        from (
            select id, message_id, created_at, key_hash, ordered, scheduled, exchange, routing_key, key, type, content_type,
                payload, size, headers_text,
                case
                    when octet_length(headers_text) > 1048576 then 'headers are larger than can ever be sent: mend them in outbox_held and retry it, or discard it'
                    else withheld
                end as withheld
            from (
                select *, case when not scheduled and withheld is null then headers::text end as headers_text
                from (
                    select *,
                        case
                            when scheduled then null
                            when $7::text is not null then $7::text
                            when payload is null or message_id is null or created_at is null
                                then 'payload, message_id or created_at is NULL'
                            when size > $6::int8 then 'the message is larger than can ever be sent: discard it'
                            when octet_length(exchange) > 255 then 'exchange has more than 255 bytes: shorten it in outbox_held and retry it, or discard it'
                            when octet_length(routing_key) > 255 then 'routing_key has more than 255 bytes: shorten it in outbox_held and retry it, or discard it'
                            when octet_length(type) > 255 then 'type has more than 255 bytes: shorten it in outbox_held and retry it, or discard it'
                            when octet_length(content_type) > 255 then 'content_type has more than 255 bytes: shorten it in outbox_held and retry it, or discard it'
                            when octet_length(key) > 65536 then 'key has more than 65536 bytes: shorten it in outbox_held and retry it, or discard it'
                            when headers is null then null
                            when pg_column_size(headers) <= 500 and pg_column_compression(headers) is null then null
                            when pg_column_size(headers) > 524288 or pg_column_size(headers || '{}') > 524288
                                then 'headers are larger than can ever be sent: mend them in outbox_held and retry it, or discard it'
                            when not headers @? 'strict $.** ? (@.type() == "number")' then null
                            when exists (
                                select
                                from (
                                    select sum(octet_length(number #>> '{}')) over (rows unbounded preceding) as digits
                                    from jsonb_path_query(headers, 'strict $.** ? (@.type() == "number")') as number
                                ) as numbers
                                where digits > 131072
                            ) then 'headers hold more digits than can ever be sent: mend them in outbox_held and retry it, or discard it'
                        end as withheld
                    from (
                        select id, message_id, created_at, hashtextextended(key, 0) as key_hash, key is not null as ordered,
                            exchange, routing_key, key, type, content_type, headers, payload,
                            coalesce(deliver_after > created_at, false) as scheduled,
                            coalesce(octet_length(payload), 0)::int8 + coalesce(octet_length(routing_key), 0)
                                + coalesce(octet_length(exchange), 0) + coalesce(octet_length(key), 0)
                                + coalesce(octet_length(type), 0) + coalesce(octet_length(content_type), 0) as size
                        from :"schema".outbox
                        where id > $1::int8
                            and id <= $5::int8
                            and id not in (select unnest($2::int8[]))
                        order by id
                        limit $3::int8
                    ) as next
                    offset 0
                ) as looked_at
                offset 0
            ) as written
            offset 0
        ) as judged
    ) as sized
) as counted
where bytes_before_last < $4::int8
order by id
