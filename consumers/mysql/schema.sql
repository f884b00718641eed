-- The inbox: which messages a consumer has applied. MariaDB 10.11 or MySQL 8.0.22, or newer, in the database of the
-- consumer. By hand: mariadb --database=NAME <schema.sql
--
-- A row is written in the same transaction as the effect, so it exists if and only if the effect does. This needs
-- InnoDB: with an engine without transactions, a claim would stay when its effect is rolled back. The primary key
-- accepts an id only once: partitions by list, hash or key of its columns keep that, partitions by seen_at cannot.
--
-- Names and ids are bytes of UTF-8, so 'a', 'A' and 'a ' differ. MariaDB and MySQL have no collation in common in which
-- they do. And the character set of a connection does not change them. To read them: convert(message_id using utf8mb4).
create table inbox (
    consumer varbinary(255) not null comment 'Who applied it: two consumers of one message do not disturb each other',
    message_id varbinary(255) not null comment 'AMQP message-id',
    seen_at datetime(6) not null default (utc_timestamp(6)) comment 'When it was applied, in UTC',
    primary key (consumer, message_id),
    -- For deleting by age.
    key inbox_seen_at (seen_at)
) engine = InnoDB comment = 'Messages that were applied, in the same transaction as their effect';

create table inbox_schema (
    version int not null,
    single tinyint not null default 1 primary key check (single = 1)
) engine = InnoDB comment = 'The version of the inbox tables: exactly one row';
insert into inbox_schema (version) values (1);
