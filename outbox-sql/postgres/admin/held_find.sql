-- The held messages with the id $1 or the message id $2; the other one is NULL. An application can give the same
-- message id twice. How many, and their ids with spaces between them.
select count(*), coalesce(string_agg(id::text, ' ' order by id), '') as ids
from :"schema".outbox_held
where id = $1::int8
    or message_id = $2::uuid
