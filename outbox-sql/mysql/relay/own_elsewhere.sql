-- Whether a relay has said of itself, less than the lease ago, that it works the outbox. Asked by one that has seen another work it
-- through another server: the lock of the ownership, which is of one server, does not tell.
select count(*) from outbox_relay where updated_at > utc_timestamp(6) - interval @lease_s second
