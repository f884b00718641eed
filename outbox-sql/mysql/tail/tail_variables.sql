-- How the server writes its log. Not every server has all of these variables.
show global variables
where variable_name in
    ('log_bin', 'binlog_format', 'binlog_row_image', 'binlog_checksum', 'wsrep_on', 'log_slave_updates', 'log_replica_updates')
