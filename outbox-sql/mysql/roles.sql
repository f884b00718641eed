-- Ready roles for the outbox: what a producer, the relay and an operator need, and nothing else. Run in the database of
-- the outbox after `outbox-relay init`, by an account that may create roles and pass on these rights. Running it again
-- changes nothing. By hand: mariadb shop <roles.sql
--
-- Whoever logs in gets one of them, as the one that counts from the login on:
--   grant outbox_producer to shop
--   set default role outbox_producer for shop      MariaDB
--   set default role outbox_producer to shop       MySQL
-- Roles belong to the server: if it has several outboxes whose producers must not write to each other's, give the roles
-- of each outbox names of their own before this runs.
--
-- Not granted here, because an administrator must do so, and because these rights go beyond this database:
--   to see which sessions write     MySQL: grant select on performance_schema.* to outbox_relay
--                                   MariaDB: install soname 'metadata_lock_info'
--   to read the log                 grant replication slave, replication client on *.* to outbox_relay
--                                   With it the relay's account may read the changes of all databases of the server
-- and because only some need it:
--   to cancel a message             grant execute on procedure outbox_cancel to outbox_producer
create role if not exists outbox_producer, outbox_relay, outbox_operator;

-- The view is for INSERT with RETURNING, as ORMs do, and shows nobody's messages; liboutbox-mysql reads the version.
grant insert on outbox to outbox_producer;
grant insert, select on outbox_new to outbox_producer;
grant select on outbox_schema to outbox_producer;

grant select, insert, delete on outbox to outbox_relay;
grant select, insert, update, delete on outbox_held to outbox_relay;
grant select, update on outbox_held_act to outbox_relay;
grant select, insert, delete on outbox_relay to outbox_relay;
grant select, insert, delete on outbox_sent_batch to outbox_relay;
grant select on outbox_schema to outbox_relay;
grant select on outbox_relay_schema to outbox_relay;

-- An operator changes held messages; each act of the commands leaves a row in outbox_held_act, which no operator can
-- change.
grant select on outbox to outbox_operator;
grant select on outbox_relay to outbox_operator;
grant select on outbox_sent_batch to outbox_operator;
grant select, update, delete on outbox_held to outbox_operator;
grant select, insert on outbox_held_act to outbox_operator;
grant select on outbox_schema to outbox_operator;
grant select on outbox_relay_schema to outbox_operator;
