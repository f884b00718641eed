-- Forgets messages that went out longer than $1 microseconds ago, at most $2 of them.
delete from outbox_sent
where ctid = any(array(
    select ctid
    from outbox_sent
    where sent_at < now() - $1::int8 * interval '1 microsecond'
    order by sent_at
    limit $2::int8
))
