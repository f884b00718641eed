-- The outbox of one database: PostgreSQL 13 or newer (the relay needs 14.1). Run in a transaction; `outbox-relay init`
-- does so if the table does not exist. By hand:
-- psql --single-transaction -v schema=public -f schema.sql -f schema_writing.sql
--
-- A row is in "outbox" if and only if its message is committed and not yet confirmed by the broker (or set aside).
-- Within a session, ids must grow in the order of the inserts, so the sequence caches nothing (cache 1).
set local search_path = pg_catalog, pg_temp; -- names that are not qualified mean the same for everybody

create table :"schema".outbox (
    id bigint generated always as identity (cache 1) primary key,
    message_id uuid not null default gen_random_uuid(),
    exchange text,
    routing_key text not null default '',
    key text,
    type text,
    content_type text,
    headers jsonb,
    payload bytea not null,
    created_at timestamptz not null default now(),
    deliver_after timestamptz
)
-- Rows come and go all day, so the cost of a vacuum must follow the number of dead rows, not the size of the table; and
-- it must clean the index each time, because the relay reads along it. Truncation is off, because it takes an exclusive
-- lock that writers would wait for; the pages are used again anyway.
with (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_index_cleanup = on,
    vacuum_truncate = off,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 2000,
    toast.autovacuum_vacuum_insert_scale_factor = 0,
    toast.autovacuum_vacuum_insert_threshold = 100000,
    toast.autovacuum_vacuum_cost_delay = 0,
    toast.vacuum_index_cleanup = on,
    toast.vacuum_truncate = off
);

create index outbox_deliver_after on :"schema".outbox (deliver_after) where deliver_after is not null;

comment on table :"schema".outbox is 'Messages committed with the business change and not yet confirmed by the broker';
comment on column :"schema".outbox.id is 'Order of writing; within a key, the order of delivery';
comment on column :"schema".outbox.message_id is 'AMQP message-id, the name by which consumers recognise a duplicate';
comment on column :"schema".outbox.exchange is 'NULL: the default exchange of the source; empty: AMQP''s default exchange; at most 255 bytes';
comment on column :"schema".outbox.routing_key is 'AMQP routing key, at most 255 bytes';
comment on column :"schema".outbox.key is 'Ordering key, such as the id of the aggregate; NULL: unordered';
comment on column :"schema".outbox.type is 'AMQP type property, at most 255 bytes';
comment on column :"schema".outbox.content_type is 'AMQP content-type property, at most 255 bytes';
comment on column :"schema".outbox.headers is 'AMQP headers: a JSON object';
comment on column :"schema".outbox.payload is 'The body, sent as it is';
comment on column :"schema".outbox.created_at is 'Start of the transaction that wrote the row';
comment on column :"schema".outbox.deliver_after is 'Not to be sent before this time, and then behind what was written before it; NULL: at once';

-- One row, read by the relay and by the writer libraries, so by every role that may insert.
create table :"schema".outbox_schema (
    version integer not null,
    single boolean primary key default true check (single)
);
comment on table :"schema".outbox_schema is 'The version of the outbox tables: exactly one row';
insert into :"schema".outbox_schema (version) values (1);
grant select on :"schema".outbox_schema to public;
