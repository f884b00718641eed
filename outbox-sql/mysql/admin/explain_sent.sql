-- When the message with the id @id or the message id @message_id, a UUID (the other one is NULL) was sent, if the relay
-- records that.
select id, lower(insert(insert(insert(insert(hex(message_id), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-')) as message_id,
    timestampdiff(microsecond, '1970-01-01', sent_at) as sent_at
from outbox_sent
where id = @id
    or message_id = unhex(replace(@message_id, '-', ''))
order by sent_at desc
limit 1
