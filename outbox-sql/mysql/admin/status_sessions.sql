-- The session that owns the outbox (@lock_name) comes first, then those of standby relays: each holds a lock named by
-- @mark and the number of its session. What the account may not see of others is NULL, and relays of another account are
-- not shown at all without the privilege PROCESS.
select owner.id, process.host, true as owns
from (select is_used_lock(@lock_name) as id) as owner
left join information_schema.processlist as process on process.id = owner.id
where owner.id is not null
union all
select process.id, process.host, false
from information_schema.processlist as process
where is_used_lock(concat(@mark, process.id)) = process.id
    and not process.id <=> is_used_lock(@lock_name)
order by owns desc, id
