-- Whether this session has the ownership, and the variables that session.sql set: a pool may have given us another
-- session, or others may have used or reset this one.
select coalesce(is_used_lock(@lock_name) = connection_id(), 0)
    and @@session.wait_timeout = @lease_s
    and @@session.autocommit = 1
    and @@session.time_zone = '+00:00'
    and @@session.character_set_results = 'utf8mb4'
