-- The messages @ids are held now: their rows go. Row by row, as hold_lock.sql says why.
delete outbox
from json_table(@ids, '$[*]' columns (id bigint path '$')) as asked
straight_join outbox force index (primary) on outbox.id = asked.id
