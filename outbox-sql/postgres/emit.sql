-- Emits messages (outbox_emit in schema_functions.sql), in the order of the arrays, if the tables have the version $10;
-- returns the version found and how many were emitted. The parameters, and the reason why all names are qualified:
-- write.sql.
with emitted as materialized (
    select outbox_emit(
        message.payload,
        pg_catalog.convert_from(message.routing_key, 'UTF8'),
        pg_catalog.convert_from(message.key, 'UTF8'),
        pg_catalog.convert_from(message.type, 'UTF8'),
        pg_catalog.convert_from(message.exchange, 'UTF8'),
        pg_catalog.convert_from(message.content_type, 'UTF8'),
        pg_catalog.convert_from(message.headers, 'UTF8')::pg_catalog.jsonb,
        message.deliver_after,
        message.message_id)
    from rows from (
            pg_catalog.unnest($1::pg_catalog.uuid[]), pg_catalog.unnest($2::pg_catalog.bytea[]),
            pg_catalog.unnest($3::pg_catalog.bytea[]), pg_catalog.unnest($4::pg_catalog.bytea[]),
            pg_catalog.unnest($5::pg_catalog.bytea[]), pg_catalog.unnest($6::pg_catalog.bytea[]),
            pg_catalog.unnest($7::pg_catalog.bytea[]), pg_catalog.unnest($8::pg_catalog.bytea[]),
            pg_catalog.unnest($9::pg_catalog.timestamptz[])) with ordinality
        as message (message_id, exchange, routing_key, key, type, content_type, headers, payload, deliver_after, position)
    where (select version from outbox_schema) operator(pg_catalog.=) $10::pg_catalog.int4
    order by position
)
select (select version from outbox_schema), (select pg_catalog.count(*) from emitted)
