-- Held messages in the order of their ids: $1 those with these ids, $2 in this state, $3 of this key, $4 of this type,
-- $5 whose last error has these words in it, $6 held for longer than so many microseconds, each NULL: any; $7 at most so
-- many, $8 with their headers and payload, $9 those after this id, NULL: from the first. Times in microseconds since 1970;
-- NULL stands for one that never comes.
select id, message_id, state, skipped, attempts, key, type, exchange, routing_key, content_type, last_error,
    octet_length(payload) as payload_bytes,
    case when isfinite(next_attempt_at) then (extract(epoch from least(next_attempt_at, '200000-01-01')) * 1000000)::int8 end as next_attempt_at,
    case when isfinite(held_at) then (extract(epoch from least(held_at, '200000-01-01')) * 1000000)::int8 end as held_at,
    case when isfinite(created_at) then (extract(epoch from least(created_at, '200000-01-01')) * 1000000)::int8 end as created_at,
    case when isfinite(deliver_after) then (extract(epoch from least(deliver_after, '200000-01-01')) * 1000000)::int8 end as deliver_after,
    case when $8::bool then jsonb_pretty(headers) end as headers,
    case when $8::bool then payload end as payload,
    (extract(epoch from now()) * 1000000)::int8 as now
from :"schema".outbox_held
where ($1::int8[] is null or id = any($1::int8[]))
    and ($2::text is null or state = $2::text)
    and ($3::text is null or (hashtextextended(key, 0) = hashtextextended($3::text, 0) and key = $3::text))
    and ($4::text is null or type = $4::text)
    and ($5::text is null or position($5::text in last_error) > 0)
    and ($6::int8 is null or held_at < now() - $6::int8 * interval '1 microsecond')
    and ($9::int8 is null or id > $9::int8)
order by id
limit $7::int8
