-- Emits messages (schema_emit.sql), in the order of the arrays, if the tables are of the version $10; says the version found
-- and how many were emitted. The parameters are those of write.sql.
with emitted as materialized (
    select outbox_emit(payload, convert_from(routing_key, 'UTF8'), convert_from(key, 'UTF8'), convert_from(type, 'UTF8'),
        convert_from(exchange, 'UTF8'), convert_from(content_type, 'UTF8'), convert_from(headers, 'UTF8')::jsonb,
        deliver_after, message_id)
    from unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[],
            $9::timestamptz[]) with ordinality
        as message (message_id, exchange, routing_key, key, type, content_type, headers, payload, deliver_after, position)
    where (select version from outbox_schema) = $10::integer
    order by position
)
select (select version from outbox_schema), (select count(*) from emitted)
