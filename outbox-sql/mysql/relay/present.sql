-- Which rows with the ids @ids, a JSON list, are in the outbox. By the primary key, for the reason in settle.sql.
select outbox.id
from json_table(@ids, '$[*]' columns (id bigint path '$')) as asked
straight_join outbox force index (primary) on outbox.id = asked.id
order by outbox.id
