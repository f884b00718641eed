-- A ready role for consumers: what they need of the inbox, and nothing else. Run in the database of the inbox after
-- schema.sql, by an account that may create roles and pass on these rights. Running it again changes nothing. By hand:
-- mariadb --database=NAME <role.sql
--
-- Whoever logs in gets it beside the rights for the effect of a message, as the one that counts from the login on:
--   grant inbox_consumer to shipping
--   set default role inbox_consumer for shipping      MariaDB
--   set default role inbox_consumer to shipping       MySQL
-- Not granted here, because only some need it:
--   states of a key (schema_newest.sql)      grant select, insert, update on inbox_newest to inbox_consumer
--   deleting old rows (inbox_mysql_forget)   grant delete on inbox to inbox_consumer, or only to who does that
create role if not exists inbox_consumer;
grant select, insert on inbox to inbox_consumer;
grant select on inbox_schema to inbox_consumer;
