-- What was sent, lately: a row for each batch of messages that the broker has confirmed. The transaction that deletes them writes
-- it, so nothing is in it that was rolled back. The relay forgets the oldest (keep_sent, keep_sent_bytes). Run in a transaction,
-- after schema_relay.sql; does nothing where it is there. By hand: psql --single-transaction -v schema=public -f schema_sent.sql
--
-- Not compressed: random bytes would not get smaller, and it would cost the relay's statements more than the rest. Vacuumed often,
-- because the relay looks at the oldest row every second, past all that were forgotten.
set local search_path = pg_catalog, pg_temp; -- names that are not qualified mean the same for everybody
set local client_min_messages = warning; -- nobody needs to hear of what is there already
create table if not exists :"schema".outbox_sent_batch (
    place bigint generated always as identity primary key,
    sent_at timestamptz not null default now(),
    total_bytes bigint not null,
    ids bigint[] not null,
    message_ids uuid[] not null
)
with (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 20000
);
alter table :"schema".outbox_sent_batch alter ids set storage external, alter message_ids set storage external;
comment on table :"schema".outbox_sent_batch is 'Batches of messages that the broker confirmed, of late (keep_sent, keep_sent_bytes)';
comment on column :"schema".outbox_sent_batch.sent_at is 'When the batch was confirmed and deleted';
comment on column :"schema".outbox_sent_batch.total_bytes is 'What this batch and all before it take in this table, about';
comment on column :"schema".outbox_sent_batch.ids is 'What the messages had as id in the outbox';
comment on column :"schema".outbox_sent_batch.message_ids is 'Their message ids, in the same order';
