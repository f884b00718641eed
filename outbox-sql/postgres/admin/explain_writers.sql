-- The open transactions that may have written to the outbox (writers.sql), without the relay's. What the role may not
-- see of others is NULL. A prepared transaction has no session but a name. Its locks keep the virtual transaction of
-- the session that prepared it (since 14.1; '-1/…' after a restart), so they are joined by the lock on its own
-- transaction id.
select distinct on (coalesce(activity.xact_start, prepared.prepared), lock.pid, prepared.gid)
    coalesce(lock.pid::text, '') as pid, coalesce(activity.application_name, '') as application,
    coalesce(activity.usename, prepared.owner)::text as role, prepared.gid,
    (extract(epoch from coalesce(activity.xact_start, prepared.prepared)) * 1000000)::int8 as since
from pg_locks as lock
left join pg_stat_activity as activity on activity.pid = lock.pid
left join (
    pg_locks as identity
    join pg_prepared_xacts as prepared on prepared.transaction = identity.transactionid
) on lock.pid is null
    and identity.pid is null
    and identity.locktype = 'transactionid'
    and identity.virtualtransaction = lock.virtualtransaction
where lock.locktype = 'relation'
    and lock.database = (select oid from pg_database where datname = current_database())
    and lock.relation = any(array(
        with recursive heap as (
            select format('%I.outbox', :'schema')::regclass::oid as oid
            union
            select inhrelid
            from heap
            join pg_inherits on inhparent = heap.oid
        )
        select oid
        from heap))
    and lock.mode = 'RowExclusiveLock'
    and lock.granted
    and not exists (
        select
        from pg_locks as ownership
        where ownership.pid = lock.pid
            and ownership.locktype = 'advisory'
            and ownership.classid = 1869968482
            and ownership.objid = format('%I.outbox', :'schema')::regclass::oid
            and ownership.objsubid = 2
            and ownership.granted
    )
order by coalesce(activity.xact_start, prepared.prepared), lock.pid, prepared.gid
