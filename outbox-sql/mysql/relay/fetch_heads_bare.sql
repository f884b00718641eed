-- Like fetch_heads.sql, for messages that cannot be read: all, with the reason @why; or, if @why is NULL, those in
-- @unread, a JSON object of ids and reasons in hex, whose ids are also in @unread_ids. They come "withheld", without their
-- texts.
select id, message_id, created_at, key_hash,
    `key` is not null and skipped = 0 as ordered, 0 as scheduled,
    coalesce(@why, convert(unhex(json_unquote(json_extract(@unread, concat('$."', id, '"')))) using utf8mb4)) as withheld,
    0 as cut,
    null as exchange, null as routing_key, null as `key`, null as type, null as content_type, null as headers, null as payload
from outbox_held force index (outbox_held_due)
where state = 'retrying' and next_attempt_at <= utc_timestamp(6) and id + 0 not in (@ids)
    and (@why is not null or id + 0 in (@unread_ids))
order by next_attempt_at, id
limit @rows
for update skip locked
