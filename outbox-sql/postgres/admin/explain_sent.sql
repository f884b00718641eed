-- When the message with the id $1 or the message id $2 (the other one is NULL) was sent last, if the relay still remembers it;
-- and since when it remembers: one row, unless nothing is remembered.
select sent.id, sent.message_id, (extract(epoch from sent.sent_at) * 1000000)::int8 as sent_at,
    (extract(epoch from oldest.sent_at) * 1000000)::int8 as since
from (
    select sent_at
    from :"schema".outbox_sent_batch
    order by place
    limit 1
) as oldest
left join (
    select ids[position] as id, message_ids[position] as message_id, sent_at
    from :"schema".outbox_sent_batch
    cross join lateral (
        select coalesce(array_position(ids, $1::int8), array_position(message_ids, $2::uuid)) as position
    ) as found
    where $1::int8 = any(ids)
        or $2::uuid = any(message_ids)
    order by place desc
    limit 1
) as sent on true
