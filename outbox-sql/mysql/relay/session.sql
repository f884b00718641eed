-- Once for each session. @lease_s: how long the server waits for a silent session, within a packet or between two, and for
-- one that takes no data; then it ends the session, and the ownership with it. @lock_s: how long a statement waits for a
-- row or table that others have locked. @statement_s: how long a statement may take (MySQL: only reads; @statement_ms).
-- Other settings of the server, or of an init_connect, must not matter, such as a commit that begins another transaction
-- (completion_type). An id of 0 is an id. Numbers from the dictionary must be up to date (MySQL), and a list of ids must
-- not become a table of its own (MariaDB), because then a delete would read the whole outbox. A row of outbox_sent_batch has up to
-- 5000 ids.
set session
    wait_timeout = @lease_s,
    net_read_timeout = @lease_s,
    net_write_timeout = @lease_s,
    innodb_lock_wait_timeout = @lock_s,
    lock_wait_timeout = @lock_s,
    /*M! max_statement_time = @statement_s, */
    /*!80000 max_execution_time = @statement_ms, */
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
    group_concat_max_len = 1048576,
    unique_checks = 1
