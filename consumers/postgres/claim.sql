-- Claims messages for a consumer, if the tables have the version $3: returns the version found, and the places in the
-- array $2 of the messages that nobody had claimed. $1 consumer, $2 message ids. Text comes as UTF-8 bytes, so that
-- client_encoding does not matter. If an id comes twice, the first place counts. Rows are inserted in the order of the
-- ids, so that two overlapping batches wait for each other and do not deadlock. The insert waits for a transaction that
-- has claimed the same id and is still open. The conflict is named: then a table without the index that guards an id is
-- an error instead of an inbox that forgets, and a conflict with another index that somebody added is an error instead
-- of a duplicate.
--
-- It runs in the application's session, whose search_path says where the inbox is and must not be changed. So
-- everything but the inbox's own tables is qualified, operators and types too: an overload that fits better wins from
-- any schema of the path.
with message as (
    select pg_catalog.convert_from(id, 'UTF8') as message_id, pg_catalog.min(place) as place
    from pg_catalog.unnest($2::pg_catalog.bytea[]) with ordinality as asked (id, place)
    group by id
), claimed as (
    insert into inbox (consumer, message_id)
    select pg_catalog.convert_from($1::pg_catalog.bytea, 'UTF8'), message_id
    from message
    where (select version from inbox_schema) operator(pg_catalog.=) $3::pg_catalog.int4
    order by message_id collate pg_catalog."C"
    on conflict (consumer, message_id) do nothing
    returning message_id
)
select (select version from inbox_schema),
    (
        select pg_catalog.array_agg(message.place::pg_catalog.int4)
        from claimed
        join message on message.message_id operator(pg_catalog.=) claimed.message_id
    )
