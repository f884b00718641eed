-- Once on the connection that reads the log: which server it has reached, to be compared with what tail_look.sql says on the
-- other one. The creation of a slot waits for transactions that are open, for each of them at most so long. A warning of
-- what is left out of the log must come, whatever the role has set.
select
    (select system_identifier from pg_control_system()) || ' ' || extract(epoch from pg_postmaster_start_time()) as server,
    set_config('lock_timeout', '60s', false),
    set_config('client_min_messages', 'warning', false)
