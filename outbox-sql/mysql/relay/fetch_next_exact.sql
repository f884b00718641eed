-- Like fetch_next.sql, but @bytes limits all rows together: a row is complete if it and those before it have at most
-- @bytes. One more row comes "cut", which shows that there are more; if it is the first, it alone is larger than @bytes.
-- @message_bytes is the largest size of a message. A row that is too large to be sent, or incomplete, comes "withheld"
-- with the reason: without its texts and its payload, and not cut.
--
-- First the ids are read, with the bytes of each row and of those before it; then, in the same snapshot, the rows. The
-- server reads a payload to know its length, so the relay asks for few rows where they are large.
select outbox.id, message_id, created_at,
    if(`key` is null, 0, cast(conv(left(sha2(`key`, 256), 15), 16, 10) as signed)) as key_hash,
    `key` is not null as ordered, scheduled, withheld, bytes_up_to > @bytes as cut,
    if(wanted and bytes_up_to <= @bytes, exchange, null) as exchange,
    if(wanted and bytes_up_to <= @bytes, routing_key, null) as routing_key,
    if(wanted and bytes_up_to <= @bytes, `key`, null) as `key`,
    if(wanted and bytes_up_to <= @bytes, type, null) as type,
    if(wanted and bytes_up_to <= @bytes, content_type, null) as content_type,
    if(wanted and bytes_up_to <= @bytes, headers, null) as headers,
    if(wanted and bytes_up_to <= @bytes, payload, null) as payload
from (
    select *,
        sum(if(wanted, bytes, 0)) over (order by id rows between unbounded preceding and current row) as bytes_up_to
    from (
        select id, scheduled, withheld, bytes, scheduled = 0 and withheld is null as wanted
        from (
            select id, scheduled, bytes,
                case
                    when scheduled then null
                    when bytes is null or created_at is null or message_id_bytes <> 16
                        then 'payload or created_at is NULL, or message_id has not 16 bytes'
                    when bytes > @message_bytes then 'the message is larger than can ever be sent: discard it'
                    when header_bytes > 524288 then 'headers are larger than can ever be sent: mend them in outbox_held and retry it, or discard it'
                end as withheld
            from (
                select id, created_at, coalesce(deliver_after > created_at, 0) as scheduled,
                    coalesce(octet_length(message_id), 0) as message_id_bytes,
                    octet_length(headers) as header_bytes,
                    octet_length(payload) + coalesce(octet_length(headers), 0) as bytes
                from outbox force index (primary)
                where id > @after_id and id <= @end_id and (id + 0 > @except_last or interval(id, @except_edges) % 2 = 0)
                order by id
                limit @rows
            ) as next
        ) as looked_at
    ) as judged
) as counted
straight_join outbox force index (primary) on outbox.id = counted.id
where bytes_up_to - if(wanted, bytes, 0) <= @bytes
order by counted.id
