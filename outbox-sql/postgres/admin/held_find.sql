-- The held messages with the id $1 or the message id $2; the other one is NULL. An application can give the same
-- message id twice.
select coalesce(array_agg(id order by id), '{}') as ids, count(*)
from :"schema".outbox_held
where id = $1::int8
    or message_id = $2::uuid
