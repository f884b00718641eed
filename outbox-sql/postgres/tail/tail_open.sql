-- Once on the connection that reads the log: which server it has reached, to be compared with the answer of
-- tail_look.sql on the other connection. Creating a slot waits for open transactions, for each of them at most this
-- long. The server's warning about what it leaves out of the log must come, whatever the role has set. A reader whose
-- machine has gone holds the slot no longer than about 11 s, if nothing is under way to it. Everything is qualified,
-- because the search_path is the role's here (find.sql); no other SQL is sent on this connection.
select
    pg_catalog.concat((select system_identifier from pg_catalog.pg_control_system()), ' ',
        extract(epoch from pg_catalog.pg_postmaster_start_time())) as server,
    pg_catalog.set_config('lock_timeout', '60s', false),
    pg_catalog.set_config('client_min_messages', 'warning', false),
    pg_catalog.set_config('tcp_keepalives_idle', '5', false),
    pg_catalog.set_config('tcp_keepalives_interval', '2', false),
    pg_catalog.set_config('tcp_keepalives_count', '3', false)
