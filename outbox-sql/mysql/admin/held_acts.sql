-- The acts of operators on the message with the id @id or the message id @message_id, a UUID, one of which may be NULL;
-- the oldest first.
select timestampdiff(microsecond, '1970-01-01', at) as at, who, what, state, held_id,
    lower(insert(insert(insert(insert(hex(message_id), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-')) as message_id,
    seen_at is not null as seen
from outbox_held_act
where held_id = @id
    or message_id = unhex(replace(@message_id, '-', ''))
order by id
