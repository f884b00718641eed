-- The relay's tables beside the outbox, version 3, revision 3: messages set aside, what operators did to them, and the
-- relay's report on itself. Run in a transaction, after schema.sql; `outbox-relay init` does so where they are missing.
-- Takes no lock on the outbox, so writers and an older relay go on. By hand:
-- psql --single-transaction -v schema=public -f schema_relay.sql -f schema_sent.sql -f schema_functions.sql
--
-- A message is in "outbox" or in "outbox_held", never in both; each move between them is one statement.
set local search_path = pg_catalog, pg_temp; -- names that are not qualified mean the same for everybody

create table :"schema".outbox_held (
    id bigint primary key,
    message_id uuid not null,
    exchange text,
    routing_key text not null,
    key text,
    type text,
    content_type text,
    headers jsonb,
    payload bytea not null,
    created_at timestamptz not null,
    deliver_after timestamptz,
    state text not null check (state in ('scheduled', 'retrying', 'waiting', 'dead')),
    skipped boolean not null default false,
    attempts integer not null default 0,
    next_attempt_at timestamptz,
    last_error text,
    held_at timestamptz not null default now(),
    extra jsonb,
    check (state <> 'waiting' or key is not null)
)
with (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_index_cleanup = on,
    vacuum_truncate = off,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 2000,
    toast.autovacuum_vacuum_cost_delay = 0,
    toast.vacuum_index_cleanup = on,
    toast.vacuum_truncate = off
);

-- Keys are found by their hash, which the relay uses too, because a key may be too long for an index.
create index outbox_held_due on :"schema".outbox_held (state, next_attempt_at, id) where state in ('scheduled', 'retrying');
create index outbox_held_heads on :"schema".outbox_held (hashtextextended(key, 0), id)
    where state = 'retrying' or (state = 'dead' and not skipped);
create index outbox_held_skipped on :"schema".outbox_held (id) where state = 'dead' and skipped;
create index outbox_held_waiting on :"schema".outbox_held (hashtextextended(key, 0), id) where state = 'waiting';
create index outbox_held_message_id on :"schema".outbox_held (message_id);

comment on table :"schema".outbox_held is 'Messages set aside: they cannot go now, and do not stand in the way of others';
comment on column :"schema".outbox_held.id is 'The id it had in the outbox, and will have again when it goes back; a scheduled one gets a new id when its time has come';
comment on column :"schema".outbox_held.state is 'scheduled: deliver_after is to come; retrying: the broker refused it, tried again at next_attempt_at; waiting: behind a message of its key that is retrying or dead; dead: not tried again unless an operator says so';
comment on column :"schema".outbox_held.skipped is 'Its key went on without it (on_dead = "skip")';
comment on column :"schema".outbox_held.attempts is 'How often the broker refused it for what it is; outages do not count';
comment on column :"schema".outbox_held.last_error is 'Why the broker, or the relay, refused it last';
comment on column :"schema".outbox_held.extra is 'What it had in columns that others have added to the outbox, as texts: it gets that back';

-- What operators did by `outbox-relay held`. A running relay notes those acts that it has not seen.
create table :"schema".outbox_held_act (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    who text not null,
    what text not null check (what in ('retry', 'discard')),
    message_id uuid not null,
    held_id bigint not null,
    key text,
    state text not null,
    seen_at timestamptz
);
create index outbox_held_act_unseen on :"schema".outbox_held_act (id) where seen_at is null;
create index outbox_held_act_message_id on :"schema".outbox_held_act (message_id);
comment on table :"schema".outbox_held_act is 'Who retried or discarded which held message, and when: a row a message; delete old ones as you like';
comment on column :"schema".outbox_held_act.who is 'The operator''s login and machine, and the database role';
comment on column :"schema".outbox_held_act.state is 'The state that the message had before';
comment on column :"schema".outbox_held_act.seen_at is 'When the relay took note';

-- What the owner of the outbox reports on itself about once a second. At most one row; if updated_at is old, the relay
-- does not run or does not reach the database.
create table :"schema".outbox_relay (
    single boolean primary key default true check (single),
    source text not null,
    host text not null,
    pid integer not null,
    version text not null,
    started_at timestamptz not null,
    owned_since timestamptz not null,
    updated_at timestamptz not null default now(),
    in_flight bigint not null,
    in_flight_since timestamptz,
    read_up_to bigint,
    published_up_to bigint,
    confirmed bigint not null,
    rate double precision not null,
    paused_reason text,
    paused_since timestamptz,
    reads text check (reads in ('tail', 'poll')),
    reads_reason text,
    swept bigint not null default 0,
    slot text
)
with (fillfactor = 10);
comment on column :"schema".outbox_relay.in_flight is 'Published, not yet confirmed';
comment on column :"schema".outbox_relay.in_flight_since is 'When the oldest of them was published';
comment on column :"schema".outbox_relay.read_up_to is 'The highest id that was read';
comment on column :"schema".outbox_relay.published_up_to is 'The highest id that was given to the broker';
comment on column :"schema".outbox_relay.confirmed is 'Messages confirmed since the relay started';
comment on column :"schema".outbox_relay.rate is 'Messages confirmed per second, lately';
comment on column :"schema".outbox_relay.paused_reason is 'Why nothing goes out: broker unreachable, blocked, degraded, too many held; NULL: it works';
comment on column :"schema".outbox_relay.reads is 'tail: the log of the server; poll: the table';
comment on column :"schema".outbox_relay.reads_reason is 'Why it polls although it is told to tail where it can; NULL: it does as it is told';
comment on column :"schema".outbox_relay.swept is 'Messages, since the relay started, that the log did not deliver and the sweep of the table found';
comment on column :"schema".outbox_relay.slot is 'Where it reads what outbox_emit sends; empty: it does not; NULL: an older relay, which does not say';

create table :"schema".outbox_relay_schema (
    version integer not null,
    single boolean primary key default true check (single),
    revision integer not null default 0
);
comment on table :"schema".outbox_relay_schema is 'The version of the tables that only the relay uses: exactly one row. outbox_schema has that of the outbox';
comment on column :"schema".outbox_relay_schema.revision is 'What was added since, with which older relays of the version go on';
insert into :"schema".outbox_relay_schema (version, revision) values (3, 3);
grant select on :"schema".outbox_relay_schema to public;
