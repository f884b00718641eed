-- Writes messages, in the order of the arrays, if the tables are of the version $10; says the version found and how many
-- rows were written. $1 message_id, $2 exchange, $3 routing_key, $4 key, $5 type, $6 content_type, $7 headers,
-- $8 payload, $9 deliver_after. Text comes as UTF-8 bytes, so that client_encoding does not matter. RETURNING names no
-- column, so that INSERT is the only right needed on outbox.
with written as (
    insert into outbox
        (message_id, exchange, routing_key, key, type, content_type, headers, payload, deliver_after)
    select message_id, convert_from(exchange, 'UTF8'), convert_from(routing_key, 'UTF8'), convert_from(key, 'UTF8'),
        convert_from(type, 'UTF8'), convert_from(content_type, 'UTF8'), convert_from(headers, 'UTF8')::jsonb,
        payload, deliver_after
    from unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[],
            $9::timestamptz[]) with ordinality
        as message (message_id, exchange, routing_key, key, type, content_type, headers, payload, deliver_after, position)
    where (select version from outbox_schema) = $10::integer
    order by position
    returning 1
)
select (select version from outbox_schema), (select count(*) from written)
