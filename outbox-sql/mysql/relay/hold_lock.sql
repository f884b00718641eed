-- Locks those of the messages @ids, a JSON list in ascending order, that are in the outbox, and returns them: they can be
-- set aside. Row by row along the primary key, because `id in (…)` reads the whole table if the statistics say that it is
-- small (as they do for a table that fills and drains all day), and then waits for rows of open transactions. It must be
-- the first statement of its transaction: from then on the outbox gets no new columns (extra_columns.sql). MySQL must be
-- told which table to lock; MariaDB has no syntax for that.
select outbox.id
from json_table(@ids, '$[*]' columns (id bigint path '$')) as asked
straight_join outbox force index (primary) on outbox.id = asked.id
for update /*!80001 of outbox */
