-- The version of the tables that only the relay uses: exactly one row (outbox_relay_version.sql). outbox_schema has that of
-- the outbox.
create table outbox_relay_schema (
    version int not null,
    single tinyint not null default 1 primary key,
    revision int not null default 0
        comment 'What was added since, with which older relays of the version go on',
    constraint outbox_relay_schema_single check (single = 1)
)
engine = InnoDB
comment = 'The version of the tables that only the relay uses: exactly one row'
