-- The sessions that have locked the outbox, by MariaDB's plugin metadata_lock_info, with 1 if they may write. This
-- session's own lock, which the second select takes, must be among them; otherwise the list cannot be trusted.
select thread_id, lock_mode not in ('MDL_INTENTION_EXCLUSIVE', 'MDL_SHARED', 'MDL_SHARED_HIGH_PRIO', 'MDL_SHARED_READ', 'MDL_SHARED_READ_ONLY'),
    thread_id = connection_id()
from information_schema.metadata_lock_info
where table_schema = database() and table_name = 'outbox'
    and (select count(*) from outbox where false) = 0
