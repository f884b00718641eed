-- How many bytes the server has written to its log since the position $1, which is an LSN as a number. NULL: it writes none.
select case
        when not pg_is_in_recovery() then greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') - $1::int8, 0)::int8
    end as behind
