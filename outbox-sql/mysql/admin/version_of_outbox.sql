-- The version of the outbox tables.
select version from outbox_schema
