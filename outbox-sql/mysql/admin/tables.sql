-- Which database this is, and whether the tables are there: the outbox, and those that only relays use. Those on which the
-- account has no privilege are not seen. The version cannot be asked for in the same statement: without its table it would not even
-- be parsed.
select database(),
    (select count(*) from information_schema.tables where table_schema = database() and table_name = 'outbox') as outbox,
    (
        select count(*)
        from information_schema.tables
        where table_schema = database()
            and table_name in ('outbox_held', 'outbox_held_act', 'outbox_relay', 'outbox_sent', 'outbox_relay_schema')
    ) as relay
