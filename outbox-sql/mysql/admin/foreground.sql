-- Once for each session of check, init and the operator's commands. The operator must not wait for ever for a lock of
-- others, but may think about an answer for as long as he likes. Other settings of the server, or of an init_connect, must
-- not matter. An id of 0 is an id. As in relay/session.sql, a list of ids must not become a table of its own.
set session
    wait_timeout = 28800,
    innodb_lock_wait_timeout = 10,
    lock_wait_timeout = 10,
    /*M! max_statement_time = 0, */
    /*!80000 max_execution_time = 0, */
    /*!80000 information_schema_stats_expiry = 0, */
    /*M! in_predicate_conversion_threshold = 0, */
    autocommit = 1,
    completion_type = 0,
    time_zone = '+00:00',
    sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION',
    sql_select_limit = 18446744073709551615,
    sql_safe_updates = 0,
    sql_big_selects = 1,
    foreign_key_checks = 1,
    unique_checks = 1
