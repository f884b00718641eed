-- Before each claim: the version of the tables and the database that they are in. And what comes with every answer, which this is
-- asked for: whether a transaction is open. An error tells no such thing, so after a deadlock, which ends the transaction, the
-- client still believes in it. Where autocommit is off this read begins one.
-- It locks the row: a read that locks does not fix what the transaction sees from now on (under REPEATABLE READ), which would be
-- the state before the wait for another claim; and a change of the tables waits for who uses them. The limit is there
-- because the session's sql_select_limit is for those that have none.
select version, cast(convert(database() using utf8mb4) as binary)
from inbox_schema
limit 1
lock in share mode
