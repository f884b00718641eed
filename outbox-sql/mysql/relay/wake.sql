-- Moves the held messages @ids, in the order of their times, to the outbox with new ids, which give them their place in
-- the order of their key, and without deliver_after, which shows that they have it. settle_held.sql then deletes them
-- here.
insert into outbox (message_id, exchange, routing_key, `key`, type, content_type, headers, payload, created_at /*@names*/)
select message_id, exchange, routing_key, `key`, type, content_type, headers, payload, created_at /*@extras*/
from json_table(@ids, '$[*]' columns (place for ordinality, id bigint path '$')) as asked
straight_join outbox_held as held force index (primary) on held.id = asked.id
order by asked.place
