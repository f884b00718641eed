-- Deletes the rows of the confirmed held messages $1, and records when they were sent.
with
    gone as (
        delete from :"schema".outbox_held
        where id = any($1::int8[])
        returning message_id, id
    )
insert into :"schema".outbox_sent (message_id, id)
select message_id, id
from gone
