-- For consumers that must not apply an older state after a newer one (inbox_pg_advance): which version of what a key
-- names a consumer has applied last. Created after the inbox; consumers that do not use it need no such table. By hand:
-- psql --single-transaction -f schema_newest.sql
-- Everything but the inbox's tables is qualified, for the reasons in claim.sql.
--
-- A row for each key, to be kept for as long as an older version may still come. The pages have free space, so that an
-- update needs no new index entry.
create table inbox_newest (
    consumer pg_catalog.text not null,
    message_key pg_catalog.text not null,
    version pg_catalog.int8 not null,
    advanced_at pg_catalog.timestamptz not null default pg_catalog.now(),
    primary key (consumer, message_key)
)
with (fillfactor = 70);

comment on table inbox_newest is 'The newest state that was applied, in the same transaction as its effect';
comment on column inbox_newest.consumer is 'Who applied it, as in inbox';
comment on column inbox_newest.message_key is 'What it is the state of: an order, a customer';
comment on column inbox_newest.version is 'The highest version that was applied';
comment on column inbox_newest.advanced_at is 'Start of the transaction that applied it';
