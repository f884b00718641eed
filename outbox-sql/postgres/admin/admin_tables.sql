-- Whether the relay's tables are there, in the schema of the outbox. The version cannot be asked for in the same
-- statement: without its table it would not even be parsed.
select to_regclass(format('%I.outbox', :'schema')) is not null as outbox,
    to_regclass(format('%I.outbox_held', :'schema')) is not null
        and to_regclass(format('%I.outbox_held_act', :'schema')) is not null
        and to_regclass(format('%I.outbox_relay', :'schema')) is not null
        and to_regclass(format('%I.outbox_sent', :'schema')) is not null
        and to_regclass(format('%I.outbox_relay_schema', :'schema')) is not null as relay
