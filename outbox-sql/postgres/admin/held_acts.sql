-- The acts of operators on the message with the id $1 or the message id $2, one of which may be NULL; the oldest first.
select (extract(epoch from at) * 1000000)::int8 as at, who, what, state, held_id, message_id, seen_at is not null as seen
from :"schema".outbox_held_act
where held_id = $1::int8
    or message_id = $2::uuid
order by id
