-- Whether another relay waits for the ownership of the outbox $1 (its oid) and reaches its broker: see own.sql.
select exists (
    select
    from pg_locks
    where locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())
        and classid = 1869968483
        and objid = $1::oid
        and objsubid = 2
        and granted
        and pid <> pg_backend_pid()
) as ready
