-- Locks those of the messages @ids that still wait, in the order of ids, like operators' commands.
select held.id
from json_table(@ids, '$[*]' columns (id bigint path '$')) as asked
straight_join outbox_held as held force index (primary) on held.id = asked.id
where held.state = 'waiting'
for update /*!80001 of held */
