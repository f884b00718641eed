-- Forgets messages that were sent more than @age_us microseconds ago, at most @rows.
delete from outbox_sent
where sent_at < utc_timestamp(6) - interval @age_us microsecond
order by sent_at
limit @rows
