-- Whether the relay's tables are in the schema of the outbox. Their version needs another statement: if its table is
-- absent, a statement that reads it cannot even be parsed.
select to_regclass(format('%I.outbox', :'schema')) is not null as outbox,
    to_regclass(format('%I.outbox_held', :'schema')) is not null
        and to_regclass(format('%I.outbox_held_act', :'schema')) is not null
        and to_regclass(format('%I.outbox_relay', :'schema')) is not null
        and to_regclass(format('%I.outbox_relay_schema', :'schema')) is not null as relay
