-- The second statement of every session of the product (find.sql): from now on a name that is not qualified is one of
-- pg_catalog, whoever may create what in which schema. And what the role or the database has set for others' sessions does not
-- make ours fail, or mean something else: isolation; timeouts, which session.sql sets for the relay (the last is of 17); how
-- texts and arrays are read and bytes written; that an error ends the session. That it may not write stays as it is: who says
-- so is told (25006).
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
