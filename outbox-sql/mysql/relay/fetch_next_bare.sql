-- Like fetch_next_exact.sql, for rows that cannot be read, with the reason @why: payload and headers are not even named,
-- so that the server does not read them. The rows come "withheld".
select id, message_id, created_at,
    if(`key` is null, 0, cast(conv(left(sha2(`key`, 256), 15), 16, 10) as signed)) as key_hash,
    `key` is not null as ordered, 0 as scheduled, @why as withheld, 0 as cut,
    null as exchange, null as routing_key, null as `key`, null as type, null as content_type, null as headers, null as payload
from outbox force index (primary)
where id > @after_id and id <= @end_id and (id + 0 > @except_last or interval(id, @except_edges) % 2 = 0)
order by id
limit @rows
