-- Deletes the rows of the confirmed held messages $1, and records that they were sent, as settle_keep.sql does.
with
    gone as (
        delete from :"schema".outbox_held
        where id = any($1::int8[])
        returning id, message_id
    ),
    batch as (
        select count(*) as messages, array_agg(id) as ids, array_agg(message_id) as message_ids
        from gone
    )
insert into :"schema".outbox_sent_batch (total_bytes, ids, message_ids)
select coalesce((select total_bytes from :"schema".outbox_sent_batch order by place desc limit 1), 0) + 120 + 34 * messages,
    ids, message_ids
from batch
where messages > 0
returning cardinality(ids)::int8
