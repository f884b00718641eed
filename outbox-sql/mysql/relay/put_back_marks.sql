-- For the held messages @ids, in this order: for which of the columns that others have added they have a value.
select concat('' /*@marks*/)
from json_table(@ids, '$[*]' columns (place for ordinality, id bigint path '$')) as asked
straight_join outbox_held as held force index (primary) on held.id = asked.id
order by asked.place
