-- Once per connection; $1 is the lease in milliseconds.
-- A crash of the server may undo the last deletes: duplicates, never a loss, for one flush less per batch. The server
-- ends the session of a relay that is silent for the lease's length. Statements read along an index whatever the
-- statistics of a table that fills and drains all day say. A statement that takes too long ends before its session does.
-- What else the role or the database has set is undone by search_path.sql. No policy may hide rows from it: with row_security
-- off, one that would is an error.
select
    set_config('synchronous_commit', 'off', false),
    set_config('idle_session_timeout', $1::text, false),
    set_config('tcp_user_timeout', $1::text, false),
    set_config('statement_timeout', ($1::int8 * 3 / 4)::text, false),
    set_config('row_security', 'off', false),
    set_config('enable_seqscan', 'off', false),
    set_config('enable_bitmapscan', 'off', false),
    set_config('plan_cache_mode', 'force_generic_plan', false),
    set_config('jit', 'off', false)
