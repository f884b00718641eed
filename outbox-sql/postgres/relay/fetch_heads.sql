-- Held messages to be tried again now: $1 except these ids, $2 at most so many rows, $3 bytes of all rows together as
-- in fetch_next_exact.sql, $4 the most bytes that a message can have, $5 why they cannot be read (NULL: they can), $6
-- the ids of those that are known to be unreadable, and $7 why, for each. A skipped one is sent as if it had no key.
-- The measuring stands in both files: psql cannot include a file within a statement, and a function would cost time for
-- each row. A message that somebody is changing is left for later: otherwise the relay would have to wait for that
-- transaction before it could record the result of the try.
select id, message_id, created_at, key_hash, ordered, scheduled, withheld, bytes_before >= $3::int8 as cut,
    case when wanted and bytes_before < $3::int8 then exchange end as exchange,
    case when wanted and bytes_before < $3::int8 then routing_key end as routing_key,
    case when wanted and bytes_before < $3::int8 then key end as key,
    case when wanted and bytes_before < $3::int8 then type end as type,
    case when wanted and bytes_before < $3::int8 then content_type end as content_type,
    case when wanted and bytes_before < $3::int8 then headers_text end as headers,
    case when not wanted then '' when bytes_before < $3::int8 then payload end as payload
from (
    select *,
        coalesce(sum(case when wanted then bytes end)
            over (order by next_attempt_at, id rows between unbounded preceding and 1 preceding), 0) as bytes_before,
        coalesce(sum(case when wanted then bytes end)
            over (order by next_attempt_at, id rows between unbounded preceding and 2 preceding), 0) as bytes_before_last
    from (
        select *, withheld is null as wanted, coalesce(size + octet_length(headers_text), size) as bytes
        from (
            select id, message_id, created_at, next_attempt_at, key_hash, ordered, scheduled, exchange, routing_key, key, type, content_type,
                payload, size, headers_text,
                case
                    when octet_length(headers_text) > 1048576 then 'headers are larger than can ever be sent: mend them in outbox_held and retry it, or discard it'
                    else withheld
                end as withheld
            from (
                select *, case when withheld is null then headers::text end as headers_text
                from (
                    select *,
                        case
                            when $5::text is not null then $5::text
                            when id = any($6::int8[]) then ($7::text[])[array_position($6::int8[], id)]
                            when payload is null or message_id is null or created_at is null
                                then 'payload, message_id or created_at is NULL'
                            when size > $4::int8 then 'the message is larger than can ever be sent: discard it'
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
                        select id, message_id, created_at, next_attempt_at, hashtextextended(key, 0) as key_hash,
                            key is not null and not skipped as ordered, false as scheduled, exchange, routing_key, key, type,
                            content_type, headers, payload,
                            coalesce(octet_length(payload), 0)::int8 + coalesce(octet_length(routing_key), 0)
                                + coalesce(octet_length(exchange), 0) + coalesce(octet_length(key), 0)
                                + coalesce(octet_length(type), 0) + coalesce(octet_length(content_type), 0) as size
                        from :"schema".outbox_held
                        where state = 'retrying'
                            and next_attempt_at <= now()
                            and id not in (select unnest($1::int8[]))
                        order by next_attempt_at, id
                        limit $2::int8
                        for share skip locked
                    ) as next
                    offset 0
                ) as looked_at
                offset 0
            ) as written
            offset 0
        ) as judged
    ) as sized
) as counted
where bytes_before_last < $3::int8
order by next_attempt_at, id
