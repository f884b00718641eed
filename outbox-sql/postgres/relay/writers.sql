-- The open transactions that may have taken ids of the table $1 (its oid): an INSERT or COPY locks the table before it
-- asks for an id, and keeps the lock until its transaction ends, also if that one is prepared. An insert into a
-- partition locks only the partition.
select virtualtransaction
from pg_locks
where locktype = 'relation'
    and database = (select oid from pg_database where datname = current_database())
    and relation = any(array(
        with recursive heap as (
            select $1::oid as oid
            union
            select inhrelid
            from heap
            join pg_inherits on inhparent = heap.oid
        )
        select oid
        from heap))
    and mode = 'RowExclusiveLock'
    and granted
    and pid is distinct from pg_backend_pid()
