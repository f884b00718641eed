-- Triggers of others on the relay's tables, as far as this account may see them.
select event_object_table, trigger_name, lower(concat(action_timing, ' ', event_manipulation))
from information_schema.triggers
where event_object_schema = database()
    and event_object_table in ('outbox', 'outbox_held', 'outbox_held_act', 'outbox_sent_batch', 'outbox_relay')
    and trigger_name <> 'outbox_payload'
order by event_object_table, trigger_name
