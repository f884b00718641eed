-- A relay that has not asked for the ownership yet and finds that its session has it already shares the session with
-- another relay, or with the rest of one, as behind a pool. GET_LOCK would give the lock to it too, so this is asked
-- first.
select coalesce(is_used_lock(@lock_name) = connection_id(), 0)
