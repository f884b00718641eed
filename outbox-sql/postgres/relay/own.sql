-- Asks for the ownership of the outbox $1 (its oid), for as long as this session lives. 1869968482 is 'outb' in ASCII: the class
-- of the relay's locks.
--
-- $2: whether this relay reaches its broker. One that does and has to wait holds a second lock, of the next class, which
-- many sessions can share. By it the owner knows that another relay could do its work (rival.sql), and a relay that does
-- not reach its broker leaves the ownership to one that does.
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
    locks as materialized (
        select lock.classid, lock.pid
        from pg_locks as lock
        where lock.locktype = 'advisory'
            and lock.database = (select oid from pg_database where datname = current_database())
            and lock.classid in (1869968482, 1869968483)
            and lock.objid = $1::oid
            and lock.objsubid = 2
            and lock.granted
    ),
    before as materialized (
        select
            exists (select from locks where classid = 1869968482 and pid = pg_backend_pid()) as shared,
            exists (select from locks where classid = 1869968483 and pid = pg_backend_pid()) as marked,
            exists (select from locks where classid = 1869968483 and pid <> pg_backend_pid()) as rival
    )
select
    case when before.shared or (before.rival and not $2::bool)
        then false
        else pg_try_advisory_lock(1869968482, $1::oid::int4)
    end as owned,
    (extract(epoch from now()) * 1000000)::int8 as now_us,
    before.shared,
    case when $2::bool and not before.marked then pg_try_advisory_lock_shared(1869968483, $1::oid::int4)
        when not $2::bool and before.marked then pg_advisory_unlock_shared(1869968483, $1::oid::int4)
    end as marked,
    (
        select count(pg_terminate_backend(activity.pid))
        from locks
        join pg_stat_activity as activity on activity.pid = locks.pid
        where locks.classid = 1869968482
            and locks.pid <> pg_backend_pid()
            and activity.wait_event = 'ClientRead'
            and activity.state <> 'idle'
            and activity.state_change < now() - 2 * current_setting('idle_session_timeout')::interval
            and pg_has_role(activity.usesysid, 'USAGE')
    ) as ended
from before
