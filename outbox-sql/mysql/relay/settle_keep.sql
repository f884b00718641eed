-- Records in a row that the messages @ids, a JSON list, were sent, in the transaction in which settle.sql deletes them. Both lists
-- are made in one pass over the rows, so they have the same order. A row takes about 100 bytes more than what is in it; one that does
-- not fit into half a page has pages of its own, of which one is not full.
insert into outbox_sent_batch (total_bytes, ids, message_ids)
select coalesce((select latest.total_bytes from outbox_sent_batch as latest order by latest.place desc limit 1), 0)
        + 100 + octet_length(batch.ids) + octet_length(batch.message_ids)
        + 16384 * (octet_length(batch.ids) + octet_length(batch.message_ids) > 8000),
    batch.ids, batch.message_ids
from (
    select group_concat(outbox.id) as ids,
        group_concat(outbox.message_id separator '') as message_ids
    from json_table(@ids, '$[*]' columns (id bigint path '$')) as asked
    straight_join outbox force index (primary) on outbox.id = asked.id
) as batch
where batch.ids is not null
