-- Held messages that are to be retried now, except @ids: at most @rows, and at most @bytes together as in
-- fetch_next_exact.sql; @message_bytes is the largest size of a message. A skipped message is sent as if it had no key.
--
-- A row that another transaction is changing is left for later: otherwise the relay would have to wait for it to write the
-- result of the attempt. (MariaDB does not know `for share`, and its older words cannot skip rows.) Locked rows are read
-- in their present state, not in that of the statement's beginning.
select held.id, message_id, created_at, key_hash,
    `key` is not null and skipped = 0 as ordered, 0 as scheduled, withheld, bytes_up_to > @bytes as cut,
    if(wanted and bytes_up_to <= @bytes, exchange, null) as exchange,
    if(wanted and bytes_up_to <= @bytes, routing_key, null) as routing_key,
    if(wanted and bytes_up_to <= @bytes, `key`, null) as `key`,
    if(wanted and bytes_up_to <= @bytes, type, null) as type,
    if(wanted and bytes_up_to <= @bytes, content_type, null) as content_type,
    if(wanted and bytes_up_to <= @bytes, headers, null) as headers,
    if(wanted and bytes_up_to <= @bytes, payload, null) as payload
from (
    select *,
        sum(if(wanted, bytes, 0)) over (order by place rows between unbounded preceding and current row) as bytes_up_to
    from (
        select id, withheld, bytes, withheld is null as wanted, row_number() over (order by next_attempt_at, id) as place
        from (
            select id, bytes, next_attempt_at,
                case
                    when bytes is null or created_at is null or message_id_bytes <> 16
                        then 'payload or created_at is NULL, or message_id has not 16 bytes'
                    when bytes > @message_bytes then 'the message is larger than can ever be sent: discard it'
                    when header_bytes > 524288 then 'headers are larger than can ever be sent: mend them in outbox_held and retry it, or discard it'
                end as withheld
            from (
                select id, next_attempt_at, created_at,
                    coalesce(octet_length(message_id), 0) as message_id_bytes,
                    octet_length(headers) as header_bytes,
                    octet_length(payload) + coalesce(octet_length(headers), 0) as bytes
                from outbox_held force index (outbox_held_due)
                where state = 'retrying' and next_attempt_at <= utc_timestamp(6) and id + 0 not in (@ids)
                order by next_attempt_at, id
                limit @rows
                for update skip locked
            ) as next
        ) as looked_at
    ) as judged
) as counted
straight_join outbox_held as held force index (primary) on held.id = counted.id
where bytes_up_to - if(wanted, bytes, 0) <= @bytes
order by counted.place
for update
