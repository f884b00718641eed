-- The version of the outbox tables: exactly one row (outbox_version.sql). Read by the relay and by the writer library, hence
-- by every account that writes with it.
create table outbox_schema (
    version int not null,
    single tinyint not null default 1 primary key,
    constraint outbox_schema_single check (single = 1)
)
engine = InnoDB
comment = 'The version of the outbox tables: exactly one row'
