-- What operators did, of which the relay has not taken note. A large heap of it in portions.
select id
from outbox_held_act force index (outbox_held_act_unseen)
where seen_at is null
order by id
limit 10000
