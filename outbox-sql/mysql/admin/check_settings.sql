-- The server's settings that matter to a relay. Those that a server does not have are missing.
select lower(variable_name), variable_value
from /*!80000 performance_schema.global_variables */ /*M! information_schema.global_variables */
where variable_name in ('auto_increment_increment', 'binlog_format', 'group_replication_group_name',
    'group_replication_single_primary_mode', 'innodb_flush_log_at_trx_commit', 'log_bin', 'max_allowed_packet', 'performance_schema',
    'read_only', 'sync_binlog', 'wsrep_on')
