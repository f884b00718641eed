-- What only relays use, from version 2, or version 3 with a lower revision, to version 3, revision 3: columns for how the outbox
-- is read, and for what a held message has in columns that others have added to the outbox. Run inside a transaction, and then
-- schema_sent.sql, schema_writing.sql and schema_functions.sql; `outbox-relay init` does so where it finds such. Does nothing where revision 3 is there. Writers and an older relay go on meanwhile; a relay of version 3 also
-- later, one of version 2 works until it must connect again. By hand:
-- psql --single-transaction -v schema=public -f schema_relay_3.sql
--
-- The relay that works the outbox writes this table every second, among its other requests: while we wait for somebody's
-- lock, so does it. So we wait only briefly.
set local search_path = pg_catalog, pg_temp; -- names that are not qualified mean the same for everybody
set local lock_timeout = '1s';
set local outbox.schema = :'schema';
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
update :"schema".outbox_relay_schema set version = 3, revision = 3 where version = 2 or (version = 3 and revision < 3);

-- The relay's moves lock both tables, in either direction. So that none of them and we wait for each other, we first have the
-- one, and then wait for the other for less than the second (deadlock_timeout) after which the server would end one of us.
do $do$
declare
    outbox constant regclass := format('%I.outbox', current_setting('outbox.schema'));
    held constant regclass := format('%I.outbox_held', current_setting('outbox.schema'));
begin
    if not exists (select from pg_attribute where attrelid = held and attname = 'extra' and not attisdropped) then
        execute format('lock table %s in access exclusive mode', outbox);
        set local lock_timeout = '100ms';
        execute format('alter table %s add column extra jsonb', held);
    end if;
end
$do$;
comment on column :"schema".outbox_held.extra is 'What it had in columns that others have added to the outbox, as texts: it gets that back';
