-- Which table this is, whether it is the one that the relay knows, and whether the relay may do its work on it.
select 'outbox'::regclass::oid as outbox,
    pg_get_serial_sequence('outbox', 'id')::regclass::oid as sequence,
    (select version from outbox_schema)::int4 as version,
    has_table_privilege('outbox', 'select') and has_table_privilege('outbox', 'delete') as may_work,
    has_sequence_privilege(pg_get_serial_sequence('outbox', 'id'), 'select, usage') as may_read_sequence
