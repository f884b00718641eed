-- Ends the relay of this source that reads the slot $1. Whoever owns the outbox may do so: it is an earlier owner's, whose connection the
-- server has not given up yet.
select count(pg_terminate_backend(activity.pid)) as ended
from pg_replication_slots as slot
join pg_stat_activity as activity on activity.pid = slot.active_pid
where slot.slot_name = $1::text
    and activity.application_name = current_setting('application_name')
    and activity.usename = session_user
