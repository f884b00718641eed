-- When the message with the id @id or the message id @message_id, a UUID (the other one is NULL) was sent last, if the relay still
-- remembers it. The list of ids is a JSON list without brackets; message ids are compared one by one, because `locate` may find
-- the end of one and the beginning of the next.
select found.id,
    lower(insert(insert(insert(insert(hex(substr(batch.message_ids, 16 * found.position - 15, 16)), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-')) as message_id,
    timestampdiff(microsecond, '1970-01-01', batch.sent_at) as sent_at
from outbox_sent_batch as batch
straight_join json_table(concat('[', batch.ids, ']'), '$[*]' columns (position for ordinality, id bigint path '$')) as found
where (find_in_set(@id, batch.ids) > 0 and found.id = @id)
    or (
        locate(unhex(replace(@message_id, '-', '')), batch.message_ids) > 0
        and substr(batch.message_ids, 16 * found.position - 15, 16) = unhex(replace(@message_id, '-', ''))
    )
order by batch.place desc
limit 1
