-- When the message with the id $1 or the message id $2 (the other one is NULL) was sent, if the relay records that.
select id, message_id, (extract(epoch from sent_at) * 1000000)::int8 as sent_at
from :"schema".outbox_sent
where id = $1::int8
    or message_id = $2::uuid
order by sent_at desc
limit 10
