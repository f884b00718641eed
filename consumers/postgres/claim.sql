-- Claims messages for a consumer, if the tables are of the version $3: says the version found, and at which places of the
-- array $2 the messages stand that nobody had claimed. $1 consumer, $2 message ids. Text comes as UTF-8 bytes, so that
-- client_encoding does not matter. Of an id that comes twice the first place counts. Rows are inserted in the order of the
-- ids, so that two batches that overlap wait for each other and do not deadlock. The insert waits for a transaction that
-- has claimed the same id and is still open. The conflict is named so that tables without the index that guards an id are an
-- error instead of an inbox that forgets, and another index of somebody's is one instead of a duplicate.
with message as (
    select convert_from(id, 'UTF8') as message_id, min(place) as place
    from unnest($2::bytea[]) with ordinality as asked (id, place)
    group by id
), claimed as (
    insert into inbox (consumer, message_id)
    select convert_from($1::bytea, 'UTF8'), message_id
    from message
    where (select version from inbox_schema) = $3::integer
    order by message_id collate "C"
    on conflict (consumer, message_id) do nothing
    returning message_id
)
select (select version from inbox_schema), (select array_agg(place::integer) from claimed join message using (message_id))
