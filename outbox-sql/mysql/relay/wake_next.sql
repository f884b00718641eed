-- The time by this server's clock, and that of the first scheduled message at or after @from_us, NULL if there is none:
-- both in microseconds since 1970.
select timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) as now_us,
    (
        select timestampdiff(microsecond, '1970-01-01', next_attempt_at)
        from outbox_held force index (outbox_held_due)
        where state = 'scheduled'
            and next_attempt_at >= timestamp'1970-01-01 00:00:00' + interval @from_us microsecond
        order by next_attempt_at, id
        limit 1
    ) as next_us
