-- Locks scheduled messages with a time between @from_us and @now_us (microseconds since 1970), in the order of their
-- times, at most @rows. Skips those that are locked, such as one that an open transaction is cancelling. @from_us avoids
-- walking over index entries of earlier messages again and again, which a long transaction elsewhere keeps.
select id, timestampdiff(microsecond, '1970-01-01', next_attempt_at) as due_us, extra is not null as laden
from outbox_held force index (outbox_held_due)
where state = 'scheduled'
    and next_attempt_at >= timestamp'1970-01-01 00:00:00' + interval @from_us microsecond
    and next_attempt_at <= timestamp'1970-01-01 00:00:00' + interval @now_us microsecond
order by next_attempt_at, id
limit @rows
for update skip locked
