-- Locks those of the messages @ids, a JSON list in ascending order, that are in the outbox, and says which: they can be set
-- aside. Row by row along the primary key: `id in (…)` reads the whole table where the statistics call it small, as they do with
-- one that fills and drains all day, and waits for rows of transactions that are still open. To be the first statement of
-- its transaction: from then on the outbox gets no new columns (extra_columns.sql). MySQL wants to be told what to lock, and
-- MariaDB does not know how.
select outbox.id
from json_table(@ids, '$[*]' columns (id bigint path '$')) as asked
straight_join outbox force index (primary) on outbox.id = asked.id
for update /*!80001 of outbox */
