-- Claims messages for a consumer, if the tables are of the version $3: says the version found, and at which places of the
-- array $2 the messages stand that nobody had claimed. $1 consumer, $2 message ids. Text comes as UTF-8 bytes, so that
-- client_encoding does not matter. Of an id that comes twice the first place counts. Rows are inserted in the order of the
-- ids, so that two batches that overlap wait for each other and do not deadlock. The insert waits for a transaction that
-- has claimed the same id and is still open. The conflict is named so that tables without the index that guards an id are an
-- error instead of an inbox that forgets, and another index of somebody's is one instead of a duplicate.
-- It runs in the application's session, whose search_path says where the inbox is and must stay what it is. So all that is
-- not the inbox's is qualified, operators and types too: an overload that fits better wins from any schema of the path.
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
