-- Up to where the server's log is on its disk; where it ends (NULL: nothing can read it, because wal_level is not
-- logical); and the last id that the sequence $1 (its oid) has given out (NULL: none). The sequence is read last: so
-- the ids of whoever committed before that place of the log are among those that it has given out. Readers get only
-- what is on the disk. While nobody writes, the end of the log may stay beyond that place, by the size of a page's
-- header.
select
    case when readable then pg_current_wal_flush_lsn() end,
    case when readable then pg_current_wal_insert_lsn() end,
    pg_sequence_last_value($1::oid::regclass)
from (select current_setting('wal_level') = 'logical' and not pg_is_in_recovery() as readable) as log
