-- Moves the held messages @ids back to the outbox, with their ids; settle_held.sql then deletes them here. Without
-- deliver_after, as in wake.sql: waiting messages have their place already.
insert into outbox (id, message_id, exchange, routing_key, `key`, type, content_type, headers, payload, created_at /*@names*/)
select held.id, message_id, exchange, routing_key, `key`, type, content_type, headers, payload, created_at /*@extras*/
from json_table(@ids, '$[*]' columns (place for ordinality, id bigint path '$')) as asked
straight_join outbox_held as held force index (primary) on held.id = asked.id
order by asked.place
