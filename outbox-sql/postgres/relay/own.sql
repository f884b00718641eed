-- Ownership of the outbox $1 (its oid), for as long as this session lives. 1869968482 is 'outb' in ASCII: the class of
-- locks that are the relay's.
select pg_try_advisory_lock(1869968482, $1::oid::int4)
