-- What must be known before a write: the version of the tables, and how long a statement may be. A read that locks: a plain one
-- would begin the snapshot of the application's transaction, and with innodb_snapshot_isolation (MariaDB, on from 11.6.2)
-- the next update of a row that somebody has changed since would fail. The limit is there because the session's
-- sql_select_limit is for statements that have none.
select version, @@max_allowed_packet
from outbox_schema
limit 1
lock in share mode
