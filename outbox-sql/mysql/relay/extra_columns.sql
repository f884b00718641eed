-- Columns of the outbox that `outbox-relay init` has not made, in their order. What others have added means nothing to the relay,
-- but a message that is set aside has it again when it goes back. Generated columns come of themselves.
select column_name, lower(data_type)
from information_schema.columns
where table_schema = database()
    and table_name = 'outbox'
    and coalesce(generation_expression, '') = ''
    and column_name not in ('id', 'message_id', 'exchange', 'routing_key', 'key', 'type', 'content_type', 'headers', 'payload',
        'payload_text', 'created_at', 'deliver_after')
order by ordinal_position
