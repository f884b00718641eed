-- The columns of the outbox in their order, with their names as in the log, and whether their bytes in the log are UTF-8,
-- or no text at all.
select table_schema, table_name, column_name, coalesce(character_set_name in ('utf8mb4', 'utf8mb3', 'utf8', 'ascii'), 1)
from information_schema.columns
where table_schema = database() and table_name = 'outbox'
order by ordinal_position
