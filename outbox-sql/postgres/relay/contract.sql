-- Which tables these are, and whether they are those that the relay knows.
select 'outbox'::regclass::oid as outbox,
    pg_get_serial_sequence('outbox', 'id')::regclass::oid as sequence,
    (select version from outbox_schema)::int4 as version,
    (select version from outbox_relay_schema)::int4 as relay_version,
    (select nspname::text from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where pg_class.oid = 'outbox'::regclass) as schema
