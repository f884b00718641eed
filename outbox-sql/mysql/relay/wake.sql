-- The held messages @ids, in the order of their times, go to the outbox under new ids, so that from now on they stand in the
-- order of their key, and without deliver_after: who reads one knows by that that it has its place. settle_held.sql then
-- deletes them here.
insert into outbox (message_id, exchange, routing_key, `key`, type, content_type, headers, payload, created_at /*@names*/)
select message_id, exchange, routing_key, `key`, type, content_type, headers, payload, created_at /*@extras*/
from json_table(@ids, '$[*]' columns (place for ordinality, id bigint path '$')) as asked
straight_join outbox_held as held force index (primary) on held.id = asked.id
order by asked.place
