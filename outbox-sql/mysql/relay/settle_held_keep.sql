-- Records that the held messages @ids were sent, as settle_keep.sql does; settle_held.sql then deletes them.
insert into outbox_sent_batch (total_bytes, ids, message_ids)
select coalesce((select latest.total_bytes from outbox_sent_batch as latest order by latest.place desc limit 1), 0)
        + 100 + octet_length(batch.ids) + octet_length(batch.message_ids)
        + 16384 * (octet_length(batch.ids) + octet_length(batch.message_ids) > 8000),
    batch.ids, batch.message_ids
from (
    select group_concat(held.id) as ids,
        group_concat(held.message_id separator '') as message_ids
    from json_table(@ids, '$[*]' columns (id bigint path '$')) as asked
    straight_join outbox_held as held force index (primary) on held.id = asked.id
) as batch
where batch.ids is not null
