-- Who has not asked for the ownership yet and finds that this session has it shares the session with another relay, or with what
-- is left of one: a pool before the server does that. The lock would be given to him too, so this is asked first.
select coalesce(is_used_lock(@lock_name) = connection_id(), 0)
