-- Which version of what a key names a consumer has applied last, as committed at this moment or by this transaction itself.
select version
from inbox_newest
where consumer = @consumer and message_key = @message_key
limit 1
lock in share mode
