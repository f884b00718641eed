-- Where the server's log ends (NULL: it is none that could be read, for want of wal_level = logical), and the last id given
-- out by the sequence $1 (its oid; NULL if none was). In this order: whoever has committed before that place of the log
-- took its ids before the sequence is read.
select
    case when current_setting('wal_level') = 'logical' and not pg_is_in_recovery() then pg_current_wal_insert_lsn() end,
    pg_sequence_last_value($1::oid::regclass)
