-- Held messages in the order of their ids: $1 those with these ids, $2 in this state, $3 of this key, $4 of this type,
-- $5 whose last error contains this text, $6 held for longer than so many microseconds; NULL in any of these: no
-- condition. $7 at most so many, $8 with their headers and payload, $9 those after this id, NULL: from the first. Times
-- are in microseconds since 1970; NULL: a time that never comes. Of a text that is too long to be sent only the
-- beginning is shown, and of such headers their size as stored: as text they may be a gigabyte (fetch_next_exact.sql).
-- A text may have characters that do not exist in UTF-8, which would make the whole statement fail. With $10 texts come
-- as ASCII, with other bytes as \ooo.
select id, message_id, state, skipped, attempts,
    case when $10::bool then encode(convert_to(key, getdatabaseencoding()), 'escape') else key end as key,
    case when $10::bool then encode(convert_to(type, getdatabaseencoding()), 'escape') else type end as type,
    case when $10::bool then encode(convert_to(exchange, getdatabaseencoding()), 'escape') else exchange end as exchange,
    case when $10::bool then encode(convert_to(routing_key, getdatabaseencoding()), 'escape') else routing_key end as routing_key,
    case when $10::bool then encode(convert_to(content_type, getdatabaseencoding()), 'escape') else content_type end as content_type,
    case when $10::bool then encode(convert_to(last_error, getdatabaseencoding()), 'escape') else last_error end as last_error,
    payload_bytes, next_attempt_at, held_at, created_at, deliver_after,
    case when $10::bool then encode(convert_to(headers, getdatabaseencoding()), 'escape') else headers end as headers,
    payload, now
from (
    select id, message_id, state, skipped, attempts,
        case when octet_length(key) > 65536 then left(key, 200) || format('... (%s bytes)', octet_length(key)) else key end as key,
        case when octet_length(type) > 65536 then left(type, 200) || format('... (%s bytes)', octet_length(type)) else type end as type,
        case when octet_length(exchange) > 65536 then left(exchange, 200) || format('... (%s bytes)', octet_length(exchange)) else exchange end as exchange,
        case when octet_length(routing_key) > 65536 then left(routing_key, 200) || format('... (%s bytes)', octet_length(routing_key)) else routing_key end as routing_key,
        case when octet_length(content_type) > 65536 then left(content_type, 200) || format('... (%s bytes)', octet_length(content_type)) else content_type end as content_type,
        case when octet_length(last_error) > 65536 then left(last_error, 200) || format('... (%s bytes)', octet_length(last_error)) else last_error end as last_error,
        octet_length(payload) as payload_bytes,
        case when isfinite(next_attempt_at) then (extract(epoch from least(next_attempt_at, '200000-01-01')) * 1000000)::int8 end as next_attempt_at,
        case when isfinite(held_at) then (extract(epoch from least(held_at, '200000-01-01')) * 1000000)::int8 end as held_at,
        case when isfinite(created_at) then (extract(epoch from least(created_at, '200000-01-01')) * 1000000)::int8 end as created_at,
        case when isfinite(deliver_after) then (extract(epoch from least(deliver_after, '200000-01-01')) * 1000000)::int8 end as deliver_after,
        case
            when not $8::bool or headers is null then null
            when pg_column_size(headers) > 524288
                or pg_column_size(headers || '{}') > 524288
                or exists (
                    select
                    from (
                        select sum(octet_length(number #>> '{}')) over (rows unbounded preceding) as digits
                        from jsonb_path_query(headers, 'strict $.** ? (@.type() == "number")') as number
                    ) as numbers
                    where digits > 131072
                )
                then jsonb_pretty(jsonb_build_object('larger than can ever be sent, bytes as stored', pg_column_size(headers)))
            else jsonb_pretty(headers)
        end as headers,
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
) as held
order by id
