-- Deletes the records of messages that were sent longer than $1 microseconds ago, at most $2 of them. A ctid is unique
-- only within a partition, so tableoid is compared too; "is true" keeps this comparison from becoming a join that reads
-- the whole table.
with oldest as materialized (
    select tableoid as heap, ctid as place
    from :"schema".outbox_sent
    where sent_at < now() - $1::int8 * interval '1 microsecond'
    order by sent_at
    limit $2::int8
)
delete from :"schema".outbox_sent
where ctid = any(array(select place from oldest))
    and (tableoid::text || ctid::text in (select heap::text || place::text from oldest)) is true
