-- What makes writing to the outbox easier and checks it, for new tables and for those of older relays alike (the outbox
-- stays at version 1: whoever writes or reads it as before can go on). Run in a transaction, after schema.sql;
-- `outbox-relay init` does so. Does nothing where everything is there. It waits for open transactions that have written
-- to the outbox, and meanwhile other writers wait for it: at most for the time below; then it fails, nothing is
-- changed, and it can be run again. By hand:
-- psql --single-transaction -v schema=public -f schema_writing.sql
set local search_path = pg_catalog, pg_temp; -- names that are not qualified mean the same for everybody
set local lock_timeout = '1500ms'; -- more than deadlock_timeout, by default 1 s, after which a vacuum gives way
set local outbox.schema = :'schema';

-- One statement for the table, so that it waits only once for the lock. The payload may be NULL in an INSERT (drivers
-- and ORMs leave out columns without a value), never in a row. Only rows written from now on are checked; existing ones
-- are not ("not valid"), and reading them all would take long. A text that is too long for AMQP could only be set
-- aside. A key has no such limit, but one of megabytes would be read again and again. Headers are limited by their size
-- as JSON text, which is how the relay reads them.
do $do$
declare
    outbox constant regclass := format('%I.outbox', current_setting('outbox.schema'));
    partitioned constant boolean := (select relkind = 'p' from pg_class where oid = outbox);
    clauses text := '';
    name text;
    condition text;
begin
    if not exists (
        select
        from pg_attribute
        where attrelid = outbox
            and attname = 'payload_text'
            and not attisdropped
    ) then
        clauses := ', add column payload_text text, alter column payload drop not null';
    end if;
    for name, condition in values
        ('outbox_payload_set', 'payload is not null and payload_text is null'),
        ('outbox_exchange_255_bytes', 'octet_length(exchange) <= 255'),
        ('outbox_routing_key_255_bytes', 'octet_length(routing_key) <= 255'),
        ('outbox_key_1024_bytes', 'octet_length(key) <= 1024'),
        ('outbox_type_255_bytes', 'octet_length(type) <= 255'),
        ('outbox_content_type_255_bytes', 'octet_length(content_type) <= 255'),
        (
            'outbox_headers_128_kib',
            'octet_length(headers::text) <= 131072' -- after the trigger outbox_headers
        )
    loop
        if not exists (select from pg_constraint where conrelid = outbox and conname = name) then
            clauses := clauses || format(', add constraint %I check (%s)', name, condition)
                || case when pg_relation_size(outbox) = 0 and not partitioned then '' else ' not valid' end;
        end if;
    end loop;
    if clauses <> '' then
        execute format('alter table %s %s', outbox, substr(clauses, 2));
    end if;
end
$do$;
comment on column :"schema".outbox.payload is 'The body, sent as it is; or give payload_text';
comment on column :"schema".outbox.payload_text is 'The body as text, such as JSON: sent in UTF-8, character by character. Instead of payload, which it becomes';

-- It sets no search_path, which would cost each row more than its own work: everything is qualified.
create or replace function :"schema".outbox_payload() returns trigger
language plpgsql
as $$
begin
    if new.payload_text is null then
        raise null_value_not_allowed using
            message = 'a message has no body: give payload (bytes) or payload_text (text)',
            hint = 'An empty one is ''''.';
    elsif new.payload is not null then
        raise data_exception using
            message = 'a message has two bodies: give either payload (bytes) or payload_text (text)';
    end if;
    new.payload := pg_catalog.convert_to(new.payload_text, 'UTF8');
    new.payload_text := null;
    return new;
end
$$;
comment on function :"schema".outbox_payload() is 'Makes payload of payload_text';

-- The server stores a number such as 1e131000 as briefly as 1, so a few kilobytes of such numbers can become a gigabyte
-- of text: in the check of the table, and when the server reports which row has failed it. So these are refused first.
-- No headers that fit into AMQP take more than 256 KiB as the server stores them.
create or replace function :"schema".outbox_headers() returns trigger
language plpgsql
as $$
begin
    raise data_exception using
        message = 'the headers of a message are more than 128 KiB, or have a number beyond 1e308';
end
$$;
comment on function :"schema".outbox_headers() is 'Refuses headers that are too large';

do $do$
declare
    outbox constant regclass := format('%I.outbox', current_setting('outbox.schema'));
    name text;
    timing text;
    condition text;
begin
    for name, timing, condition in values
        ('outbox_payload', 'insert', 'new.payload_text is not null or new.payload is null'),
        (
            'outbox_headers',
            'insert or update of headers',
            $$pg_column_size(new.headers) > 262144 or jsonb_path_exists(new.headers, '$.** ? (@ > 1e308 || @ < -1e308)')$$
        )
    loop
        if not exists (select from pg_trigger where tgrelid = outbox and tgname = name) then
            execute format('create trigger %1$I before %2$s on %3$s for each row when (%4$s) execute function %5$I.%1$I()',
                name, timing, outbox, condition, current_setting('outbox.schema'));
        end if;
    end loop;
end
$do$;

-- For programs that write by INSERT … RETURNING, such as ORMs: that needs the right to read the returned columns, and
-- on the outbox this would be the right to read everybody's messages. A view without rows accepts inserts all the same.
create or replace view :"schema".outbox_new as
select id, message_id, exchange, routing_key, key, type, content_type, headers, payload, payload_text, created_at, deliver_after
from :"schema".outbox
where false;
comment on view :"schema".outbox_new is 'To insert into the outbox with RETURNING; shows nothing. Grant insert and select to those who write';
