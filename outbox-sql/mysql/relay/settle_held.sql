-- The held messages @ids went out, or back to the outbox: their rows go. Row by row, as hold_lock.sql says why.
delete held
from json_table(@ids, '$[*]' columns (id bigint path '$')) as asked
straight_join outbox_held as held force index (primary) on held.id = asked.id
