-- The messages of the outbox with the id @id or the message id @message_id, a UUID; the other one is NULL. There is no
-- index for message ids, because writers would pay for it.
select id, lower(insert(insert(insert(insert(hex(message_id), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-')) as message_id,
    `key`, type,
    timestampdiff(microsecond, '1970-01-01', created_at) as created_at,
    timestampdiff(microsecond, '1970-01-01', deliver_after) as deliver_after,
    coalesce(deliver_after > utc_timestamp(6), false) as scheduled
from outbox
where id = @id
    or message_id = unhex(replace(@message_id, '-', ''))
order by id
limit 10
