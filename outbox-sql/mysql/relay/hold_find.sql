-- Locks those of the messages @ids that are held already, in the order of ids, as operators' commands do, so that neither
-- waits for the other in a circle. And whether an operator has said to try it again, of which the relay has not taken note.
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
