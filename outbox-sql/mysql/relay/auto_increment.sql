-- The next id that the outbox will give; NULL: there is no table, or the server does not know it (MySQL: no row was
-- written since the table was created or truncated, or it is being altered). A transaction with a lower id has locked the
-- table before this is read. It does not depend on the rows, so its cost is the same however many were deleted.
select auto_increment
from information_schema.tables
where table_schema = database() and table_name = 'outbox'
