-- Since when the relay remembers what it sent.
select timestampdiff(microsecond, '1970-01-01', sent_at)
from outbox_sent_batch
order by place
limit 1
