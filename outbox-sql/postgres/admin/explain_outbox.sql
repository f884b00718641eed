-- The messages of the outbox with the id $1 or the message id $2 (the other one is NULL), and how many messages are
-- before each. At most a million are counted. There is no index for message ids, because writers would pay for it. Of a
-- text that is too long to be sent, only the beginning. A text may have characters that do not exist in UTF-8, which
-- would make the whole statement fail. With $3 texts come as ASCII, with other bytes as \ooo.
select id, message_id,
    case when $3::bool then encode(convert_to(key, getdatabaseencoding()), 'escape') else key end as key,
    case when $3::bool then encode(convert_to(type, getdatabaseencoding()), 'escape') else type end as type,
    created_at, deliver_after, scheduled, before
from (
    select id, message_id,
        case when octet_length(key) > 65536 then left(key, 200) || format('... (%s bytes)', octet_length(key)) else key end as key,
        case when octet_length(type) > 65536 then left(type, 200) || format('... (%s bytes)', octet_length(type)) else type end as type,
        case when isfinite(created_at) then (extract(epoch from least(created_at, '200000-01-01')) * 1000000)::int8 end as created_at,
        case when isfinite(deliver_after) then (extract(epoch from least(deliver_after, '200000-01-01')) * 1000000)::int8 end as deliver_after,
        coalesce(deliver_after > now(), false) as scheduled,
        (
            select count(*)
            from (select from :"schema".outbox as earlier where earlier.id < outbox.id limit 1000001) as counted
        ) as before
    from :"schema".outbox
    where id = $1::int8
        or message_id = $2::uuid
    order by id
    limit 10
) as pending
order by id
