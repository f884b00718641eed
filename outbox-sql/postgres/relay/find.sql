-- The first statement of every session of the product, and the only one that the search_path of its role has a say in: the
-- schema of the outbox that the search_path shows; if it shows none, the schema that new tables go to, and one where there
-- are outbox tables that this role may not use. With that search_path anybody who may create something in one of its
-- schemas could give another meaning to names and operators that are not qualified, and pg_catalog is no exception: an
-- operator that fits the types better wins from any schema. So all is qualified here; session.sql then leaves only
-- pg_catalog in the path (a session that begins so is one that a pool has given to the product before, without a reset:
-- a process other than the one that the client was told of), and what is the outbox's is written :"schema".outbox in all statements.
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
