-- The last id given out by the sequence $1 (its oid); NULL if none was.
select pg_sequence_last_value($1::oid::regclass)
