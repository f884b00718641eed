-- Once per connection; $1 is the lease in milliseconds. A crash of the server may undo the last deletes, because the
-- session does not wait for the flush: that means duplicates, never a loss, and saves a flush for each batch. The
-- server ends the session of a relay that is silent for the length of the lease. Statements read along an index
-- whatever the statistics say, because the table fills and drains all day. A statement that takes too long is ended
-- before the session is. Other settings of the role or the database are reset by search_path.sql. No policy may hide
-- rows from the relay: with row_security off, a policy that would is an error.
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
