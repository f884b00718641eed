-- The session that owns the outbox (@lock_name) comes first, then those of standby relays: each holds a lock named by
-- @mark and the number of its session. What the account may not see of others is NULL, and relays of another account are
-- not shown at all without the privilege PROCESS. In MySQL not information_schema.processlist, which gives an error (3854) while
-- any session runs a statement that has a character of four bytes (9.7); this one is empty where the performance schema is off.
select owner.id, process.host, true as owns
from (select is_used_lock(@lock_name) as id) as owner
left join /*M! information_schema.processlist */ /*!80022 performance_schema.processlist */ as process on process.id = owner.id
where owner.id is not null
union all
select process.id, process.host, false
from /*M! information_schema.processlist */ /*!80022 performance_schema.processlist */ as process
where is_used_lock(concat(@mark, process.id)) = process.id
    and not process.id <=> is_used_lock(@lock_name)
order by owns desc, id
