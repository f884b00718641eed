-- Ownership of the outbox $1 (its oid), for as long as this session lives. 1869968482 is 'outb' in ASCII: the class of
-- the relay's locks.
--
-- The server ends the session of a silent owner by idle_session_timeout, but not while it waits for the rest of a
-- request that was sent only in part: an owner that stopped between two writes would keep the outbox for ever. So
-- whoever waits for the ownership ends a session that has been in this state for twice the lease, if it may. (That
-- owner's lease is over by then.)
--
-- If this session owns the outbox although this relay has not asked for it yet, a connection pool has given the same
-- session to two relays, or to a new one after an old one. The server would grant the lock again, so the relay does not
-- ask.
with
    before as materialized (
        select exists (
            select
            from pg_locks
            where pid = pg_backend_pid()
                and locktype = 'advisory'
                and classid = 1869968482
                and objid = $1::oid
                and objsubid = 2
        ) as shared
    )
select not before.shared and pg_try_advisory_lock(1869968482, $1::oid::int4) as owned,
    (extract(epoch from now()) * 1000000)::int8 as now_us,
    before.shared,
    (
        select count(pg_terminate_backend(activity.pid))
        from pg_locks as lock
        join pg_stat_activity as activity on activity.pid = lock.pid
        where lock.locktype = 'advisory'
            and lock.database = (select oid from pg_database where datname = current_database())
            and lock.classid = 1869968482
            and lock.objid = $1::oid
            and lock.objsubid = 2
            and lock.granted
            and lock.pid <> pg_backend_pid()
            and activity.wait_event = 'ClientRead'
            and activity.state <> 'idle'
            and activity.state_change < now() - 2 * current_setting('idle_session_timeout')::interval
            and pg_has_role(activity.usesysid, 'USAGE')
    ) as ended
from before
