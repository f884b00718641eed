-- Of the held messages @ids, in this order: which of the columns that others have added to the outbox they have a value for.
select concat('' /*@marks*/)
from json_table(@ids, '$[*]' columns (place for ordinality, id bigint path '$')) as asked
straight_join outbox_held as held force index (primary) on held.id = asked.id
order by asked.place
