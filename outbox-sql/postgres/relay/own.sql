-- Ownership of the outbox $1 (its oid), for as long as this session lives. 1869968235 is 'outk' in ASCII: the class of
-- locks that are the relay's.
select pg_try_advisory_lock(1869968235, $1::oid::int4)
