-- Whether the relay's tables are there, as the search_path shows them. The version cannot be asked for in the same
-- statement: without its table it would not even be parsed.
select to_regclass('outbox') is not null as outbox,
    to_regclass('outbox_held') is not null
        and to_regclass('outbox_held_act') is not null
        and to_regclass('outbox_relay') is not null
        and to_regclass('outbox_sent') is not null
        and to_regclass('outbox_relay_schema') is not null as relay
