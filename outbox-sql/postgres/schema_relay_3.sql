-- What only relays use, from version 2, or version 3 without a revision, to version 3, revision 1: columns for how the outbox
-- is read. Run inside a transaction, and then schema_writing.sql and schema_functions.sql; `outbox-relay init` does so where it
-- finds such. Does nothing where revision 1 is there. Writers and an older relay go on meanwhile; a relay of version 3 also
-- later, one of version 2 works until it must connect again. By hand:
-- psql --single-transaction -v schema=public -f schema_relay_3.sql
--
-- The relay that works the outbox writes this table every second, among its other requests: while we wait for somebody's
-- lock, so does it. So we wait only briefly.
set local search_path = pg_catalog, pg_temp; -- names that are not qualified mean the same for everybody
set local lock_timeout = '1s';
set local client_min_messages = warning; -- nobody needs to hear of what is there already
alter table :"schema".outbox_relay
    add column if not exists reads text check (reads in ('tail', 'poll')),
    add column if not exists reads_reason text,
    add column if not exists swept bigint not null default 0,
    add column if not exists slot text;
comment on column :"schema".outbox_relay.reads is 'tail: the log of the server; poll: the table';
comment on column :"schema".outbox_relay.reads_reason is 'Why it polls although it is told to tail where it can; NULL: it does as it is told';
comment on column :"schema".outbox_relay.swept is 'Messages, since the relay started, that the log did not deliver and the sweep of the table found';
comment on column :"schema".outbox_relay.slot is 'Where it reads what outbox_emit sends; empty: it does not; NULL: an older relay, which does not say';
alter table :"schema".outbox_relay_schema add column if not exists revision integer not null default 0;
comment on column :"schema".outbox_relay_schema.revision is 'What was added since, with which older relays of the version go on';
update :"schema".outbox_relay_schema set version = 3, revision = 1 where version = 2 or (version = 3 and revision < 1);
