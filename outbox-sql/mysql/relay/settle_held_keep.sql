-- Records that the held messages @ids were sent; settle_held.sql then deletes them.
insert into outbox_sent (message_id, id)
select held.message_id, held.id
from json_table(@ids, '$[*]' columns (id bigint path '$')) as asked
straight_join outbox_held as held force index (primary) on held.id = asked.id
