-- Whether this session has the ownership, and what session.sql set: a pool may have given another one, or others may have used
-- this, or reset it.
select coalesce(is_used_lock(@lock_name) = connection_id(), 0)
    and @@session.wait_timeout = @lease_s
    and @@session.autocommit = 1
    and @@session.time_zone = '+00:00'
    and @@session.character_set_results = 'utf8mb4'
