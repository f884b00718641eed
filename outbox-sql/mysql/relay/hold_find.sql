-- Locks those of the messages @ids that are held already, in the order of ids, like operators' commands, so that the two
-- cannot deadlock. Also tells whether an operator has asked for a retry that the relay has not noticed yet.
select held.id,
    exists (
        select 1
        from outbox_held_act
        where seen_at is null
            and what = 'retry'
            and held_id = held.id
    ) as retried
from json_table(@ids, '$[*]' columns (id bigint path '$')) as asked
straight_join outbox_held as held force index (primary) on held.id = asked.id
for update /*!80001 of held */
