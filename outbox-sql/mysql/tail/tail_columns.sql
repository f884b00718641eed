-- The columns of the outbox in their order, by the names that stand in the log, and whether what they hold is UTF-8 as it stands
-- there, or no text.
select table_schema, table_name, column_name, coalesce(character_set_name in ('utf8mb4', 'utf8mb3', 'utf8', 'ascii'), 1)
from information_schema.columns
where table_schema = database() and table_name = 'outbox'
order by ordinal_position
