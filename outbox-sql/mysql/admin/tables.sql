-- The database of this session, and whether the tables exist: the outbox, and those that only relays use. Tables on which
-- the account has no privilege are not shown. The version cannot be part of this statement, because without its table it
-- could not even be parsed.
select database(),
    (select count(*) from information_schema.tables where table_schema = database() and table_name = 'outbox') as outbox,
    (
        select count(*)
        from information_schema.tables
        where table_schema = database()
            and table_name in ('outbox_held', 'outbox_held_act', 'outbox_relay', 'outbox_relay_schema')
    ) as relay
