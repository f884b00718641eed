-- Ends the session of this source's relay that reads the slot $1. Only the owner of the outbox runs this: so it is a
-- former owner's session, whose connection the server still believes in.
select count(pg_terminate_backend(activity.pid)) as ended
from pg_replication_slots as slot
join pg_stat_activity as activity on activity.pid = slot.active_pid
where slot.slot_name = $1::text
    and activity.application_name = current_setting('application_name')
    and activity.usename = session_user
