-- The messages $1 are confirmed: their rows go, and that they went is remembered.
with
    gone as (
        delete from :"schema".outbox
        where id = any($1::int8[])
        returning message_id, id
    )
insert into :"schema".outbox_sent (message_id, id)
select message_id, id
from gone
