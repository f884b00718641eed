-- Writes messages, in the order of the arrays, if the tables have the version $10; returns the version found and how
-- many rows were written. $1 message_id, $2 exchange, $3 routing_key, $4 key, $5 type, $6 content_type, $7 headers, $8
-- payload, $9 deliver_after. Text comes as UTF-8 bytes, so that client_encoding does not matter. RETURNING names no
-- column, so that INSERT is the only right needed on outbox.
--
-- It runs in the application's session, whose search_path says where the outbox is and must not be changed. So
-- everything but the outbox's own tables is qualified, operators and types too: an overload that fits better wins from
-- any schema of the path.
with written as (
    insert into outbox
        (message_id, exchange, routing_key, key, type, content_type, headers, payload, deliver_after)
    select message_id, pg_catalog.convert_from(exchange, 'UTF8'), pg_catalog.convert_from(routing_key, 'UTF8'),
        pg_catalog.convert_from(key, 'UTF8'), pg_catalog.convert_from(type, 'UTF8'),
        pg_catalog.convert_from(content_type, 'UTF8'), pg_catalog.convert_from(headers, 'UTF8')::pg_catalog.jsonb,
        payload, deliver_after
    from rows from (
            pg_catalog.unnest($1::pg_catalog.uuid[]), pg_catalog.unnest($2::pg_catalog.bytea[]),
            pg_catalog.unnest($3::pg_catalog.bytea[]), pg_catalog.unnest($4::pg_catalog.bytea[]),
            pg_catalog.unnest($5::pg_catalog.bytea[]), pg_catalog.unnest($6::pg_catalog.bytea[]),
            pg_catalog.unnest($7::pg_catalog.bytea[]), pg_catalog.unnest($8::pg_catalog.bytea[]),
            pg_catalog.unnest($9::pg_catalog.timestamptz[])) with ordinality
        as message (message_id, exchange, routing_key, key, type, content_type, headers, payload, deliver_after, position)
    where (select version from outbox_schema) operator(pg_catalog.=) $10::pg_catalog.int4
    order by position
    returning 1
)
select (select version from outbox_schema), (select pg_catalog.count(*) from written)
