-- The first statement of every session of the product, and the only one that the search_path of its role can affect. It
-- says the schema of the outbox that the search_path finds; and, in case it finds none, the schema where new tables are
-- created and a schema with outbox tables that this role may not use.
--
-- With that search_path, anybody who may create objects in one of its schemas could give another meaning to unqualified
-- names and operators. pg_catalog gives no protection: an operator that fits the types better wins from any schema of
-- the path. So everything here is qualified. The next statement, search_path.sql, leaves only pg_catalog in the path,
-- and later statements qualify the names of the outbox's own objects.
--
-- A session that has this path already ("used") comes from a pool that gave it to the product before and did not reset
-- it: then its server process is not the one that the client was told of.
select
    (
        select namespace.nspname
        from pg_catalog.pg_class as relation
        join pg_catalog.pg_namespace as namespace on namespace.oid operator(pg_catalog.=) relation.relnamespace
        where relation.oid operator(pg_catalog.=) pg_catalog.to_regclass('outbox')::pg_catalog.oid
    )::pg_catalog.text as schema,
    pg_catalog.current_schema()::pg_catalog.text as creates_in,
    (
        select pg_catalog.min(namespace.nspname::pg_catalog.text)
        from pg_catalog.pg_class as relation
        join pg_catalog.pg_namespace as namespace on namespace.oid operator(pg_catalog.=) relation.relnamespace
        where relation.relname operator(pg_catalog.=) 'outbox_schema'
            and not pg_catalog.has_schema_privilege(namespace.oid, 'usage')
    ) as forbidden,
    pg_catalog.current_setting('search_path') operator(pg_catalog.=) 'pg_catalog, pg_temp' as used,
    pg_catalog.pg_backend_pid() as pid
