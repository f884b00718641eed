-- The database of this session, and the versions of its tables (outbox_relay_schema.sql).
select database(), (select version from outbox_schema), (select version from outbox_relay_schema)
