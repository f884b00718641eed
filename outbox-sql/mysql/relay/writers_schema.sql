-- The same by the performance schema, which MySQL has on by default: the thread, 1 if it may write, 1 if it is this
-- session's. Locks that are only waited for do not count. Also tells whether locks or threads were left out for lack of
-- memory since the server started: then the list cannot be trusted.
select owner_thread_id,
    lock_status <> 'PENDING' and lock_type not in ('INTENTION_EXCLUSIVE', 'SHARED', 'SHARED_HIGH_PRIO', 'SHARED_READ', 'SHARED_READ_ONLY'),
    owner_thread_id = /*!80016 ps_current_thread_id() */
        /*M! (select thread_id from performance_schema.threads where processlist_id = connection_id()) */
        and not exists (
            select *
            from /*!80000 performance_schema.global_status */ /*M! information_schema.global_status */
            where variable_name in ('Performance_schema_metadata_lock_lost', 'Performance_schema_thread_instances_lost')
                and variable_value + 0 > 0
        )
from performance_schema.metadata_locks
where object_type = 'TABLE' and object_schema = database() and object_name = 'outbox'
    and (select count(*) from outbox where false) = 0
