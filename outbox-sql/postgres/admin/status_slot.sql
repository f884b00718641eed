-- How many bytes of its log the server keeps for the slot $1; NULL if it has dropped what the slot needs. No row: there
-- is no such slot in this database. And what the server says of it: reserved, extended, unreserved or lost; and how many more
-- bytes it may write before the slot is in danger, NULL if there is no limit (max_slot_wal_keep_size).
select
    case
        when wal_status = 'lost' then null
        when pg_is_in_recovery() then greatest(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), restart_lsn), 0)::int8
        else greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::int8
    end as retained,
    active,
    wal_status,
    safe_wal_size
from pg_replication_slots
where slot_name = $1::text
    and database = current_database()
