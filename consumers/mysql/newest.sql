-- Which version of what a key names a consumer has applied last, committed by now or in this transaction itself.
select version
from inbox_newest
where consumer = @consumer and message_key = @message_key
limit 1
lock in share mode
