-- Before each transaction of the runner: the settings that an apply function may have changed in the session, as one
-- text to compare with the first one. As in session_own.sql, only MariaDB reads /*M! and only MySQL reads /*!80000.
select concat_ws(' | ', coalesce(database(), ''), current_user(), coalesce(current_role(), ''), @@session.autocommit,
    @@session.sql_mode, @@session.time_zone, @@session.character_set_client, @@session.character_set_connection,
    @@session.character_set_results, @@session.collation_connection, @@session.foreign_key_checks, @@session.unique_checks,
    @@session.innodb_lock_wait_timeout, @@session.lock_wait_timeout, @@session.wait_timeout, @@session.sql_select_limit,
    @@session.sql_safe_updates, @@session.sql_log_bin, @@session.completion_type,
    /*M! @@session.tx_isolation, @@session.tx_read_only, @@session.max_statement_time */
    /*!80000 @@session.transaction_isolation, @@session.transaction_read_only, @@session.max_execution_time */),
    -- Fails if a different temporary table hides the inbox; reads no row.
    (select count(message_id) from inbox where false)
