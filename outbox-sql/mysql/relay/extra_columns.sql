-- Columns of the outbox that `outbox-relay init` did not create, in their order. Columns of others mean nothing to the
-- relay, but a message that was set aside must have their values again when it moves back. Generated columns are left out,
-- because the server computes them again.
select column_name, lower(data_type)
from information_schema.columns
where table_schema = database()
    and table_name = 'outbox'
    and coalesce(generation_expression, '') = ''
    and column_name not in ('id', 'message_id', 'exchange', 'routing_key', 'key', 'type', 'content_type', 'headers', 'payload',
        'payload_text', 'created_at', 'deliver_after')
order by ordinal_position
