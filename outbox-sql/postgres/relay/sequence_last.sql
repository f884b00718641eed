-- How far the server's log is on its disk, and where it ends (NULL: it is none that could be read, for want of wal_level =
-- logical), and the last id given out by the sequence $1 (its oid; NULL if none was). In this order: whoever has committed
-- before that place of the log took its ids before the sequence is read. Readers are given what is on the disk; where the log
-- ends may lie behind that for good while nobody writes (by the header of a page).
select
    case when readable then pg_current_wal_flush_lsn() end,
    case when readable then pg_current_wal_insert_lsn() end,
    pg_sequence_last_value($1::oid::regclass)
from (select current_setting('wal_level') = 'logical' and not pg_is_in_recovery() as readable) as log
