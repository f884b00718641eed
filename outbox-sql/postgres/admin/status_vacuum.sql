-- What vacuum has left in the outbox: how many rows of it are dead, and by how many transactions the oldest snapshot lags that
-- keeps the rows dead since then from being removed, of those that this role may see. NULL: there is none.
select pg_stat_get_dead_tuples(format('%I.outbox', :'schema')::regclass) as dead,
    (
        select max(age(xmin))
        from (
            select backend_xmin as xmin from pg_stat_activity
            union all select transaction from pg_prepared_xacts
            union all select xmin from pg_replication_slots
        ) as holders
        where xmin is not null
    )::int8 as snapshot
