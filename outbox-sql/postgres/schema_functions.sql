-- The functions that applications and the relay call, a part of schema_relay.sql (version 3, revision 2). Run in a
-- transaction, after schema_relay.sql; `outbox-relay init` does so, and again where the functions of an older relay
-- are. By hand:
-- psql --single-transaction -v schema=public -f schema_functions.sql
--
-- Applications call functions that have their owner's rights. So no name in them may be looked up in a schema where
-- others may create objects: the search_path has only pg_catalog, and everything else is qualified. (pg_temp is named
-- last, because a temporary schema that is not named is searched first; it is never searched for functions.) Naming
-- pg_catalog before others would not be enough: an overload with exactly the types of a call wins from any schema of
-- the path.
set local search_path = pg_catalog, pg_temp;
set local outbox.schema = :'schema';

do $do$ begin execute format($create$
-- Cancels a message whose deliver_after is to come: true if it was cancelled and will not be sent. Two statements, each
-- with a snapshot of its own, in this order: so a relay that moves the message from the one table to the other
-- meanwhile cannot hide it.
create or replace function %1$I.outbox_cancel(message uuid) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from %1$I.outbox where message_id = message and deliver_after > clock_timestamp();
    if found then
        return true;
    end if;
    delete from %1$I.outbox_held where message_id = message and state = 'scheduled';
    return found;
end
$$
$create$, current_setting('outbox.schema')); end $do$;
revoke all on function :"schema".outbox_cancel(uuid) from public;
comment on function :"schema".outbox_cancel(uuid) is 'Cancels a scheduled message; grant execute to those who may';

-- Messages without a table: they are only in the server's log, and the relay of a source with tableless = true writes
-- them into the outbox as soon as the log brings them.
--
-- In the log: a transactional message with the prefix 'outbox.SCHEMA', because the log is shared by all schemas of the
-- database. Its content is a JSON object of columns of the outbox. Only payload is required: a text, the bytes in
-- base64, or in hex after \x. message_id should be there, because consumers recognise a duplicate by it. The relay sets
-- aside anything else as dead. So, without outbox_emit:
--     select pg_logical_emit_message(true, 'outbox.public', json_build_object('routing_key', 'orders',
--         'message_id', gen_random_uuid(), 'payload', encode('hello', 'base64'))::text)

-- What makes a message unfit: the limits of schema_writing.sql, which nothing enforces in the log. NULL: it is fit.
create or replace function :"schema".outbox_unfit(
    exchange text,
    routing_key text,
    key text,
    type text,
    content_type text,
    headers jsonb
) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when octet_length(exchange) > 255 then 'an exchange of more than 255 bytes'
        when octet_length(routing_key) > 255 then 'a routing_key of more than 255 bytes'
        when octet_length(key) > 1024 then 'a key of more than 1024 bytes'
        when octet_length(type) > 255 then 'a type of more than 255 bytes'
        when octet_length(content_type) > 255 then 'a content_type of more than 255 bytes'
        when headers is null then null
        when pg_column_size(headers) > 262144 then 'headers of more than 128 KiB'
        when jsonb_path_exists(headers, '$.** ? (@ > 1e308 || @ < -1e308)') then 'headers with a number beyond 1e308'
        when octet_length(headers::text) > 131072 then 'headers of more than 128 KiB'
    end;
end
$$;
comment on function :"schema".outbox_unfit is 'What of a message is larger than it may be';

do $do$ begin execute format($create$
-- Emits one message in the open transaction: it is sent if that commits. Returns its message_id. Refuses if there is no
-- slot that keeps the log: by the time there is one, the log would have forgotten the message.
create or replace function %1$I.outbox_emit(
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
set search_path = pg_catalog, pg_temp
as $$
declare
    slot text;
    unfit text;
begin
    message_id := coalesce(message_id, gen_random_uuid());
    if payload is null then
        raise null_value_not_allowed using message = 'the payload of a message is NULL';
    end if;
    unfit := %1$I.outbox_unfit(exchange, routing_key, key, type, content_type, headers);
    if unfit is not null then
        raise data_exception using message = 'a message cannot have ' || unfit;
    end if;
    if to_regclass(%2$L) is null then -- the relay of that schema would not know the prefix
        raise object_not_in_prerequisite_state using
            message = 'the outbox, or its schema, was renamed: run `outbox-relay init` again';
    end if;
    slot := (select outbox_relay.slot from %1$I.outbox_relay);
    if slot = '' then
        raise object_not_in_prerequisite_state using
            message = 'the relay reads no messages without a table, so this one would be lost',
            hint = 'Set tableless = true in its configuration, with mode = "tail".';
    end if;
    -- As relay/postgres_names.c names it where nothing else is configured, and the relay has not said yet.
    slot := coalesce(slot, regexp_replace(lower(encode(substring(
        convert_to('outbox_relay_' || current_database() || '_' || %1$L, 'UTF8') from 1 for 63), 'escape')),
        '\\[0-7]{3}|\\\\|[^a-z0-9_]', '_', 'g'));
    if not exists (
        select
        from pg_replication_slots
        where slot_name = slot
            and plugin = 'pgoutput'
            and database = current_database()
            and wal_status is distinct from 'lost'
    ) then
        raise object_not_in_prerequisite_state using
            message = format('the relay''s replication slot "%%s" is not there to keep the message, which would be lost', slot),
            hint = 'Start the relay, with mode = "tail" and tableless = true; it makes the slot.';
    end if;
    perform pg_logical_emit_message(true, %3$L, json_build_object(
        'message_id', message_id,
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
$$
$create$, current_setting('outbox.schema'), format('%I.outbox', current_setting('outbox.schema')),
    'outbox.' || current_setting('outbox.schema')); end $do$;
revoke all on function :"schema".outbox_emit(bytea, text, text, text, text, text, jsonb, timestamptz, uuid) from public;
comment on function :"schema".outbox_emit is 'Sends a message without touching the outbox; grant execute to those who write';

-- What was emitted, as a row of the outbox; problem: why it cannot be one, NULL: it can.
do $do$ begin execute format($create$
create or replace function %1$I.outbox_emitted(
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
set search_path = pg_catalog, pg_temp
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
        problem := format('emitted with "%%s", which is no column of the outbox', unknown);
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
        problem := 'emitted with ' || %1$I.outbox_unfit(exchange, routing_key, key, type, content_type, headers);
        payload := case when body like '\\x%%' then decode(substr(body, 3), 'hex') else decode(body, 'base64') end;
    end if;
exception
    when data_exception or program_limit_exceeded then
        problem := format('emitted in a form that is not understood: %%s', sqlerrm);
end
$$
$create$, current_setting('outbox.schema')); end $do$;
comment on function :"schema".outbox_emitted(bytea) is 'The relay''s: reads what outbox_emit wrote into the log';

-- The relay does not use columns that others have added to the outbox, but a message that was set aside must have their
-- values again when it goes back. Until then outbox_held.extra keeps them by name, as the texts that their types write
-- and read: JSON itself would change some, such as bounds of arrays. Both directions use the same settings, so that
-- each type reads what it wrote. Generated columns are computed again.

-- value: what a message gets that goes back: its value in outbox_held.extra, or, if the column was added since, the
-- value of a row that is written without it.
create or replace function :"schema".outbox_extra_columns(outbox regclass) returns table (name text, value text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$ -- one that is SQL would be planned at each call
begin
    return query
    select column_name,
        format('case when extra ? %1$L then (extra ->> %1$L)::%2$s else (%3$s)::%2$s end', column_name, column_type, otherwise)
    from (
        select attnum, attname::text as column_name, format_type(atttypid, -1) as column_type,
            case
                when attidentity <> '' then
                    format('nextval(%L::regclass)', pg_get_serial_sequence(attrelid::regclass::text, attname))
                else coalesce(pg_get_expr(adbin, adrelid), 'null')
            end as otherwise
        from pg_attribute
        left join pg_attrdef on adrelid = attrelid and adnum = attnum
        where attrelid = outbox
            and attnum > 0
            and not attisdropped
            and attgenerated = ''
            and attname <> all (array['id', 'message_id', 'exchange', 'routing_key', 'key', 'type', 'content_type', 'headers',
                'payload', 'payload_text', 'created_at', 'deliver_after'])
    ) as columns
    order by attnum;
end
$$;
comment on function :"schema".outbox_extra_columns(regclass) is 'Columns of the outbox that `outbox-relay init` has not made';

-- Locks the rows in advance; the statement that moves them locks the same ones.
create or replace function :"schema".outbox_extras(outbox regclass, names text[], ids bigint[])
    returns table (id bigint, extra jsonb)
language plpgsql
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
as $$
begin
    return query execute format(
        'select message.id, jsonb_object($1, array[%s]) from %s as message where message.id = any($2) '
            || 'order by message.id for update',
        (
            select string_agg(format('case when num_nulls(message.%1$I) = 0 then concat(message.%1$I) end', name), ', '
                order by position)
            from unnest(names) with ordinality as columns (name, position)
        ),
        outbox)
    using names, ids;
end
$$;
comment on function :"schema".outbox_extras is 'The relay''s: what messages have in columns that others have added';

-- Moves messages from outbox_held to the outbox: waiting ones with the ids they had, or scheduled ones with new ids, in
-- the order of their times. Returns how many.
create or replace function :"schema".outbox_put_back(
    outbox regclass,
    held regclass,
    names text[],
    vals text[],
    ids bigint[],
    anew boolean
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
as $$
declare
    ours constant text := case when anew then '' else 'id, ' end
        || 'message_id, exchange, routing_key, key, type, content_type, headers, payload, created_at';
    moved bigint;
begin
    execute format(
        'with moved as (delete from %s where id = any($1) and state || '''' = $2 returning *) '
            || 'insert into %s (%s%s) overriding system value select %s%s from moved order by %s',
        held, outbox,
        ours, (select string_agg(format(', %I', name), '' order by position)
            from unnest(names) with ordinality as columns (name, position)),
        ours, (select string_agg(', ' || value, '' order by position)
            from unnest(vals) with ordinality as columns (value, position)),
        case when anew then 'next_attempt_at, id' else 'id' end)
    using ids, case when anew then 'scheduled' else 'waiting' end;
    get diagnostics moved = row_count;
    return moved;
end
$$;
comment on function :"schema".outbox_put_back is 'The relay''s: moves messages back, with columns that others have added';
