-- Gives up the ownership of the outbox $1 (its oid), and tells those who wait for it (listen outbox_relay_OID), which would
-- notice it half a second later without that. Everything is asked for in one transaction, so the lock is free when they hear it.
select
    pg_advisory_unlock(1869968482, $1::oid::int4),
    pg_notify(concat('outbox_relay_', $1::oid), '')
