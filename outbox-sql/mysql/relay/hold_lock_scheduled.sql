-- hold_lock.sql for scheduled messages. One may be locked by a transaction that cancels it: instead of waiting, the relay
-- regards it as missing, and reads it again if it is not cancelled.
select outbox.id
from json_table(@ids, '$[*]' columns (id bigint path '$')) as asked
straight_join outbox force index (primary) on outbox.id = asked.id
for update /*!80001 of outbox */ skip locked
