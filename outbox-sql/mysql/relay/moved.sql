-- The messages @ids are held now: deletes their rows. Row by row, for the reason in hold_lock.sql.
delete outbox
from json_table(@ids, '$[*]' columns (id bigint path '$')) as asked
straight_join outbox force index (primary) on outbox.id = asked.id
