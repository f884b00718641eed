-- What a replica tells the server, for both kinds: that it understands all of MariaDB's events (4) and checksums, and that
-- an idle server must report every @period_ns where its log ends. No time limit ends the sending.
set
    @`mariadb_slave_capability` = 4,
    @`master_binlog_checksum` = @@global.binlog_checksum,
    @`source_binlog_checksum` = @@global.binlog_checksum,
    @`master_heartbeat_period` = @period_ns,
    @`source_heartbeat_period` = @period_ns
    /*M! , session max_statement_time = 0 */
