-- What a replica says of itself, for both servers: that it knows all of MariaDB's events (4) and checksums, and that an idle server
-- shall say every 0.25 s where its log ends. No limit of time ends the sending.
set
    @`mariadb_slave_capability` = 4,
    @`master_binlog_checksum` = @@global.binlog_checksum,
    @`source_binlog_checksum` = @@global.binlog_checksum,
    @`master_heartbeat_period` = 250000000,
    @`source_heartbeat_period` = 250000000
    /*M! , session max_statement_time = 0 */
