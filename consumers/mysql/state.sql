-- Before each transaction of the runner: what an apply function may have left behind in the session, as one text to compare
-- with what it was at first. As session_own.sql says, /*M! is read by MariaDB alone, /*!80000 by MySQL.
select concat_ws(' | ', coalesce(database(), ''), current_user(), coalesce(current_role(), ''), @@session.autocommit,
    @@session.sql_mode, @@session.time_zone, @@session.character_set_client, @@session.character_set_connection,
    @@session.character_set_results, @@session.collation_connection, @@session.foreign_key_checks, @@session.unique_checks,
    @@session.innodb_lock_wait_timeout, @@session.lock_wait_timeout, @@session.wait_timeout, @@session.sql_select_limit,
    @@session.sql_safe_updates, @@session.sql_log_bin, @@session.completion_type,
    /*M! @@session.tx_isolation, @@session.tx_read_only, @@session.max_statement_time */
    /*!80000 @@session.transaction_isolation, @@session.transaction_read_only, @@session.max_execution_time */),
    -- An error, where a temporary table that is another one is in the place of the inbox; no row is looked at.
    (select count(message_id) from inbox where false)
