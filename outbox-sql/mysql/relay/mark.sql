-- Once for each session: lets operators see which sessions are those of relays (admin/status_sessions.sql).
do get_lock(concat(@mark, connection_id()), 0)
