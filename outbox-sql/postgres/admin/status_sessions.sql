-- The sessions of relays with the application_name $1 in this database; and the session that owns the outbox (own.sql),
-- which comes first. What the role may not see of others is NULL.
select activity.pid, activity.application_name, host(activity.client_addr) as host,
    (extract(epoch from activity.backend_start) * 1000000)::int8 as since,
    lock.pid is not null as owns
from pg_stat_activity as activity
left join pg_locks as lock
    on lock.pid = activity.pid
    and lock.locktype = 'advisory'
    and lock.database = (select oid from pg_database where datname = current_database())
    and lock.classid = 1869968482
    and lock.objid = format('%I.outbox', :'schema')::regclass::oid
    and lock.objsubid = 2
    and lock.granted
where (activity.datname = current_database() and activity.application_name = $1::text
        and activity.backend_type is distinct from 'walsender') -- that is the owner's connection to the log
    or lock.pid is not null
order by lock.pid is null, activity.backend_start, activity.pid
