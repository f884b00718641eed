-- Which tables these are, and whether the relay knows their version.
select format('%I.outbox', :'schema')::regclass::oid as outbox,
    pg_get_serial_sequence(format('%I.outbox', :'schema'), 'id')::regclass::oid as sequence,
    (select version from :"schema".outbox_schema)::int4 as version,
    (select version from :"schema".outbox_relay_schema)::int4 as relay_version,
    -- Older tables lack this column; then it is 0.
    (select coalesce((to_jsonb(tables) ->> 'revision')::int4, 0) from :"schema".outbox_relay_schema as tables) as relay_revision,
    to_regclass(format('%I.outbox_sent_batch', :'schema')) is not null as sent
