-- Like explain_writers_info.sql, by the performance schema: for MySQL, and for MariaDB if it is on. A prepared transaction
-- whose session has ended has no id.
select distinct threads.processlist_id as id, attribute.attr_value as application, threads.processlist_user as user
from performance_schema.metadata_locks as locks
left join performance_schema.threads as threads on threads.thread_id = locks.owner_thread_id
left join performance_schema.session_account_connect_attrs as attribute
    on attribute.processlist_id = threads.processlist_id
    and attribute.attr_name = 'program_name'
where locks.object_type = 'TABLE'
    and locks.object_schema = database()
    and locks.object_name = 'outbox'
    and locks.lock_type in ('SHARED_WRITE', 'SHARED_WRITE_LOW_PRIO', 'SHARED_NO_READ_WRITE')
    and locks.lock_status = 'GRANTED'
    and coalesce(threads.processlist_id, 0) <> coalesce(is_used_lock(@lock_name), -1)
order by id
