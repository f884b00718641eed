-- The sessions that may have written to the outbox in a transaction that is still open, without the relay's (@lock_name):
-- for MariaDB, by its plugin metadata_lock_info. What the account may not see of others is NULL. Prepared transactions are
-- not among them (xa recover).
select distinct locks.thread_id as id, null as application, process.user
from information_schema.metadata_lock_info as locks
left join information_schema.processlist as process on process.id = locks.thread_id
where locks.table_schema = database()
    and locks.table_name = 'outbox'
    and locks.lock_mode in ('MDL_SHARED_WRITE', 'MDL_SHARED_NO_READ_WRITE')
    and locks.thread_id <> coalesce(is_used_lock(@lock_name), 0)
order by locks.thread_id
