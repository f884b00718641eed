-- Deletes the rows of the confirmed messages $1, and records in a row that they were sent; says how many. A row takes about 120
-- bytes with its index, a message up to 34.
with
    gone as (
        delete from :"schema".outbox
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
