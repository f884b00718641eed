-- The held messages with the id @id or the message id @message_id, a UUID; the other one is NULL. An application can give
-- the same message id twice.
select id
from outbox_held
where id = @id
    or message_id = unhex(replace(@message_id, '-', ''))
order by id
