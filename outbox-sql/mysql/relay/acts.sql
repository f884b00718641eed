-- Acts of operators that the relay has not noticed yet. A large number of them comes in portions.
select id
from outbox_held_act force index (outbox_held_act_unseen)
where seen_at is null
order by id
limit 10000
