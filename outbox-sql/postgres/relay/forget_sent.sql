-- Forgets batches that were sent longer than $1 microseconds ago, or before the last $3 bytes; at most $2 of them, the oldest.
delete from :"schema".outbox_sent_batch
where place = any(array(
    select place
    from (
        select place, sent_at, total_bytes
        from :"schema".outbox_sent_batch
        order by place
        limit $2::int8
    ) as oldest
    where sent_at < now() - $1::int8 * interval '1 microsecond'
        or total_bytes <= (select total_bytes from :"schema".outbox_sent_batch order by place desc limit 1) - $3::int8
))
