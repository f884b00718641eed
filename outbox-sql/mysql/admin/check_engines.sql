-- Tables of the product with another engine than InnoDB, which alone has transactions.
select table_name, engine
from information_schema.tables
where table_schema = database()
    and table_name in ('outbox', 'outbox_held', 'outbox_held_act', 'outbox_sent_batch', 'outbox_relay')
    and engine <> 'InnoDB'
order by table_name
