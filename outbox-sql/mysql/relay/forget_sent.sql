-- Forgets batches that were sent more than @age_us microseconds ago, or before the last @bytes; at most @rows, the oldest. (A
-- delete may not read its own table but in a derived one.)
delete from outbox_sent_batch
where place <= (
    select up_to
    from (
        select max(place) as up_to
        from (
            select place, sent_at, total_bytes
            from outbox_sent_batch
            order by place
            limit @rows
        ) as oldest
        where sent_at < utc_timestamp(6) - interval @age_us microsecond
            or total_bytes <= (
                select latest.total_bytes
                from outbox_sent_batch as latest
                order by latest.place desc
                limit 1
            ) - @bytes
    ) as forgotten
)
