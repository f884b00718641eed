-- The id that the outbox would give out next; NULL: it has none, or the server does not know (MySQL: no row was written since
-- the table was made or truncated, or it is being altered). Whoever holds a lower one has locked the table before this is
-- read. It does not say which rows there are, so it costs the same whatever was deleted.
select auto_increment
from information_schema.tables
where table_schema = database() and table_name = 'outbox'
