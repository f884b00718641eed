-- Messages without a table: they stand in the server's log alone, and the relay of a source with tableless = true writes
-- them into the outbox as soon as the log brings them. Run inside a transaction, after schema_relay.sql, of which these
-- functions are a part (version 3); `outbox-relay init` does so. By hand: psql --single-transaction -f schema_emit.sql
--
-- What stands in the log: a transactional message with the prefix 'outbox' whose content is a JSON object of columns of the
-- outbox. Only payload must be there: a text, the bytes in base64, or in hex behind \x. message_id should be, for by it a
-- consumer recognises a duplicate. Anything else the relay sets aside as dead. So without outbox_emit:
--     select pg_logical_emit_message(true, 'outbox', json_build_object('routing_key', 'orders',
--         'message_id', gen_random_uuid(), 'payload', encode('hello', 'base64'))::text)

-- Emits one, in the transaction that is open: it goes if that commits. Says its message_id. Refused if nobody could ever
-- read it, because the log would have forgotten it by the time that there is a slot.
create or replace function outbox_emit(
    payload bytea,
    routing_key text default '',
    key text default null,
    type text default null,
    exchange text default null,
    content_type text default null,
    headers jsonb default null,
    deliver_after timestamptz default null,
    message_id uuid default gen_random_uuid()
) returns uuid
language plpgsql security definer
as $$
begin
    if payload is null then
        raise null_value_not_allowed using message = 'the payload of a message is NULL';
    end if;
    if not exists (
        select
        from pg_replication_slots
        where plugin = 'pgoutput'
            and database = current_database()
            and wal_status is distinct from 'lost'
    ) then
        raise object_not_in_prerequisite_state using
            message = 'no replication slot keeps the log of this database, so the message would be lost',
            hint = 'Start the relay, with mode = "tail" and tableless = true; it makes the slot.';
    end if;
    perform pg_logical_emit_message(true, 'outbox', json_build_object(
        'message_id', coalesce(message_id, gen_random_uuid()),
        'exchange', exchange,
        'routing_key', coalesce(routing_key, ''),
        'key', key,
        'type', type,
        'content_type', content_type,
        'headers', headers,
        'created_at', now(),
        'deliver_after', deliver_after,
        'payload', translate(encode(payload, 'base64'), E'\n', '')
    )::text);
    return message_id;
end
$$;
revoke all on function outbox_emit(bytea, text, text, text, text, text, jsonb, timestamptz, uuid) from public;
-- It works with the owner's rights, so that writers need none on pg_logical_emit_message.
do $$ begin
    execute format('alter function outbox_emit set search_path = %I, pg_temp', current_schema());
end $$;
comment on function outbox_emit is 'Sends a message without touching the outbox; grant execute to those who write';

-- What was emitted, as a row of the outbox; problem: why it can't be one, NULL: it can.
create or replace function outbox_emitted(
    content bytea,
    out message_id uuid,
    out exchange text,
    out routing_key text,
    out key text,
    out type text,
    out content_type text,
    out headers jsonb,
    out payload bytea,
    out created_at timestamptz,
    out deliver_after timestamptz,
    out problem text
)
language plpgsql stable
as $$
declare
    message jsonb;
    unknown text;
    body text;
begin
    message := convert_from(content, 'UTF8')::jsonb;
    if jsonb_typeof(message) <> 'object' then
        problem := 'emitted without being a JSON object';
        return;
    end if;
    select name
    into unknown
    from jsonb_object_keys(message) as name
    where name <> all (array['message_id', 'exchange', 'routing_key', 'key', 'type', 'content_type', 'headers', 'payload',
        'created_at', 'deliver_after'])
    limit 1;
    body := message ->> 'payload';
    if unknown is not null then
        problem := format('emitted with "%s", which is no column of the outbox', unknown);
    elsif body is null or jsonb_typeof(message -> 'payload') <> 'string' then
        problem := 'emitted without a payload, a text in base64, or in hex behind \x';
    else
        message_id := coalesce((message ->> 'message_id')::uuid, gen_random_uuid());
        exchange := message ->> 'exchange';
        routing_key := coalesce(message ->> 'routing_key', '');
        key := message ->> 'key';
        type := message ->> 'type';
        content_type := message ->> 'content_type';
        headers := nullif(message -> 'headers', 'null');
        created_at := coalesce((message ->> 'created_at')::timestamptz, now());
        deliver_after := (message ->> 'deliver_after')::timestamptz;
        payload := case when body like '\\x%' then decode(substr(body, 3), 'hex') else decode(body, 'base64') end;
    end if;
exception
    when data_exception or program_limit_exceeded then
        problem := format('emitted in a form that is not understood: %s', sqlerrm);
end
$$;
comment on function outbox_emitted(bytea) is 'The relay''s: reads what outbox_emit wrote into the log';
