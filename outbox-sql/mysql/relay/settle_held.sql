-- The held messages @ids were sent, or moved back to the outbox: deletes their rows. Row by row, for the reason in
-- hold_lock.sql.
delete held
from json_table(@ids, '$[*]' columns (id bigint path '$')) as asked
straight_join outbox_held as held force index (primary) on held.id = asked.id
