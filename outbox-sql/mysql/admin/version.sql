-- The version of the tables that only the relay uses.
select version from outbox_relay_schema
