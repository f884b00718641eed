-- The inbox: which messages a consumer has applied. PostgreSQL 13 or newer, in the database of the consumer. By hand:
-- psql --single-transaction -f schema.sql
-- Everything but the inbox's tables is qualified, for the reasons in claim.sql; the tables go to the first schema of
-- the search_path.
--
-- A row is written in the same transaction as the effect, so it exists if and only if the effect does. The primary key
-- accepts an id only once: partitions by list or hash of its columns keep that, partitions by seen_at cannot.
create table inbox (
    consumer pg_catalog.text not null,
    message_id pg_catalog.text not null,
    seen_at pg_catalog.timestamptz not null default pg_catalog.now(),
    primary key (consumer, message_id)
)
-- Rows are inserted all day, and deleted oldest first: the cost of a vacuum must follow the number of dead rows, not
-- the size of the table. Truncation is off, because it takes an exclusive lock that consumers would wait for.
with (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = off
);

-- For deleting by age.
create index inbox_seen_at on inbox (seen_at);

comment on table inbox is 'Messages that were applied, in the same transaction as their effect';
comment on column inbox.consumer is 'Who applied it: two consumers of one message do not disturb each other';
comment on column inbox.message_id is 'AMQP message-id';
comment on column inbox.seen_at is 'Start of the transaction that applied it';

create table inbox_schema (
    version pg_catalog.int4 not null,
    single pg_catalog.bool primary key default true check (single)
);
comment on table inbox_schema is 'The version of the inbox tables: exactly one row';
insert into inbox_schema (version) values (1);
grant select on inbox_schema to public;
