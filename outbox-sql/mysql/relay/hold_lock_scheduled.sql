-- hold_lock.sql for scheduled messages. One may be locked by somebody who cancels it: not to wait for him, it is told as
-- missing, and read again if he does not.
select outbox.id
from json_table(@ids, '$[*]' columns (id bigint path '$')) as asked
straight_join outbox force index (primary) on outbox.id = asked.id
for update /*!80001 of outbox */ skip locked
