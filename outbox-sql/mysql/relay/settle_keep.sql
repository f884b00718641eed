-- Records that the messages @ids, a JSON list, were sent, in the transaction in which settle.sql deletes them.
insert into outbox_sent (message_id, id)
select outbox.message_id, outbox.id
from json_table(@ids, '$[*]' columns (id bigint path '$')) as asked
straight_join outbox force index (primary) on outbox.id = asked.id
