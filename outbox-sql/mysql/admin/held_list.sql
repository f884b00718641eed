-- Held messages in the order of their ids: with @named those with the ids @ids, else all; in the state @state, of the key
-- @of_key, of the type @type, whose last error contains @reason, held for longer than @older_us microseconds, after the id
-- @after; each of these may be NULL, which means any. At most @limit_rows; with @whole also headers and payload. Times are
-- in microseconds since 1970; NULL is a time that never comes. Of a text that could never be sent, because somebody has
-- made the column wider, only the beginning is shown. The hash is that of outbox_held.sql.
select id, lower(insert(insert(insert(insert(hex(message_id), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-')) as message_id,
    state, skipped, attempts,
    if(octet_length(`key`) > 65536, concat(left(`key`, 200), '... (', octet_length(`key`), ' bytes)'), `key`) as `key`,
    if(octet_length(type) > 65536, concat(left(type, 200), '... (', octet_length(type), ' bytes)'), type) as type,
    if(octet_length(exchange) > 65536, concat(left(exchange, 200), '... (', octet_length(exchange), ' bytes)'), exchange) as exchange,
    if(octet_length(routing_key) > 65536, concat(left(routing_key, 200), '... (', octet_length(routing_key), ' bytes)'), routing_key) as routing_key,
    if(octet_length(content_type) > 65536, concat(left(content_type, 200), '... (', octet_length(content_type), ' bytes)'), content_type) as content_type,
    if(octet_length(last_error) > 65536, concat(left(last_error, 200), '... (', octet_length(last_error), ' bytes)'), last_error) as last_error,
    octet_length(payload) as payload_bytes,
    timestampdiff(microsecond, '1970-01-01', next_attempt_at) as next_attempt_at,
    timestampdiff(microsecond, '1970-01-01', held_at) as held_at,
    timestampdiff(microsecond, '1970-01-01', created_at) as created_at,
    timestampdiff(microsecond, '1970-01-01', deliver_after) as deliver_after,
    case
        when not @whole then null
        when octet_length(headers) > 524288
            then convert(json_object('larger than can ever be sent, bytes as stored', octet_length(headers)) using utf8mb4) collate utf8mb4_bin
        when json_valid(headers)
            then convert(/*M! json_detailed(headers) */ /*!80000 regexp_replace(json_pretty(headers), '(?m)^( +)', '$1$1') */ using utf8mb4) collate utf8mb4_bin
        else headers collate utf8mb4_bin
    end as headers,
    case when @whole then payload end as payload,
    timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) as now
from outbox_held
where (not @named or id in (@ids))
    and (@state is null or state = @state)
    and (@of_key is null or (key_hash = cast(conv(left(sha2(@of_key, 256), 15), 16, 10) as signed) and `key` = @of_key))
    and (@type is null or type = @type)
    and (@reason is null or locate(@reason, last_error) > 0)
    and (@older_us is null or held_at < utc_timestamp(6) - interval @older_us microsecond)
    and (@after is null or id > @after)
order by id
limit @limit_rows
