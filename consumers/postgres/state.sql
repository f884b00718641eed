-- With each `begin` of the runner, in the same round trip: the settings that an apply function may have changed in the
-- session, as one text to compare with the first one; and when this transaction began, which distinguishes it from
-- every other one. The meaning of `inbox` is included, because a temporary table of that name would be taken for ours.
-- Everything is qualified, for the reasons in claim.sql.
select pg_catalog.concat_ws(' | ', current_user, session_user, pg_catalog.to_regclass('inbox')::pg_catalog.oid,
        pg_catalog.current_setting('search_path'), pg_catalog.current_setting('default_transaction_read_only'),
        pg_catalog.current_setting('default_transaction_isolation'),
        pg_catalog.current_setting('default_transaction_deferrable'),
        pg_catalog.current_setting('session_replication_role'), pg_catalog.current_setting('statement_timeout'),
        pg_catalog.current_setting('lock_timeout'), pg_catalog.current_setting('idle_in_transaction_session_timeout'),
        pg_catalog.current_setting('synchronous_commit'), pg_catalog.current_setting('client_encoding'),
        pg_catalog.current_setting('DateStyle'), pg_catalog.current_setting('TimeZone')),
    pg_catalog.now()::pg_catalog.text
