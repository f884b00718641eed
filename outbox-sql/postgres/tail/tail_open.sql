-- Once on the connection that reads the log: which server it has reached, to be compared with what tail_look.sql says on the
-- other one. The creation of a slot waits for transactions that are open, for each of them at most so long. A warning of
-- what is left out of the log must come, whatever the role has set. All is qualified, because this is said with the
-- search_path of the role (find.sql); nothing else that is SQL is said here.
select
    pg_catalog.concat((select system_identifier from pg_catalog.pg_control_system()), ' ',
        extract(epoch from pg_catalog.pg_postmaster_start_time())) as server,
    pg_catalog.set_config('lock_timeout', '60s', false),
    pg_catalog.set_config('client_min_messages', 'warning', false)
