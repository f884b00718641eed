-- The second statement of every session of the product (after find.sql). From now on unqualified names are those of
-- pg_catalog, whatever others may create in other schemas. It also resets what the role or the database may have set
-- for other sessions and would make ours fail or give other results: isolation; timeouts, which session.sql sets for
-- the relay (the last one exists since 17); how texts and arrays are read and bytes are written; that an error ends the
-- session. A setting that forbids writing stays: it was meant, and is reported (25006).
select
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false),
    pg_catalog.set_config('default_transaction_isolation', 'read committed', false),
    pg_catalog.set_config('default_transaction_deferrable', 'off', false),
    pg_catalog.set_config('statement_timeout', '0', false),
    pg_catalog.set_config('lock_timeout', '0', false),
    pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false),
    (
        select pg_catalog.set_config(name, '0', false)
        from pg_catalog.pg_settings
        where name operator(pg_catalog.=) 'transaction_timeout'
    ),
    pg_catalog.set_config('standard_conforming_strings', 'on', false),
    pg_catalog.set_config('array_nulls', 'on', false),
    pg_catalog.set_config('bytea_output', 'hex', false),
    pg_catalog.set_config('exit_on_error', 'off', false)
