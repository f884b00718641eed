-- Before each claim: the version of the tables, and the database that they are in. It is asked also because each answer
-- says whether a transaction is open. An error does not say so: after a deadlock, which ends the transaction, the
-- client would still believe in it. Where autocommit is off, this read begins a transaction. It locks the row. A plain
-- read would fix what the transaction sees from now on (under REPEATABLE READ), which would be the state before it
-- waited for another claim. And so a change of the tables waits for their users. The limit is there because the
-- session's sql_select_limit applies only to statements without one.
select version, cast(convert(database() using utf8mb4) as binary)
from inbox_schema
limit 1
lock in share mode
