-- The inbox: which messages a consumer has applied. MariaDB 10.11 or MySQL 8.0.22, or newer, in the database of the consumer. By
-- hand: mariadb --database=NAME <schema.sql
--
-- A row is written in the transaction of the effect, so it is there if and only if the effect is. That takes InnoDB: with an
-- engine that has no transactions, a claim would outlive the effect that was rolled back. The primary key is what lets an id in
-- only once: partitions by list, hash or key of its columns keep that, partitions by seen_at cannot.
--
-- Names and ids are bytes of UTF-8. So 'a', 'A' and 'a ' are three of them, which is so for no collation that MariaDB and
-- MySQL share, and the character set of a connection changes none. To read them: convert(message_id using utf8mb4).
create table inbox (
    consumer varbinary(255) not null comment 'Who applied it: two consumers of one message do not disturb each other',
    message_id varbinary(255) not null comment 'AMQP message-id',
    seen_at datetime(6) not null default (utc_timestamp(6)) comment 'When it was applied, in UTC',
    primary key (consumer, message_id),
    -- To forget by age.
    key inbox_seen_at (seen_at)
) engine = InnoDB comment = 'Messages that were applied, in the same transaction as their effect';

create table inbox_schema (
    version int not null,
    single tinyint not null default 1 primary key check (single = 1)
) engine = InnoDB comment = 'The version of the inbox tables: exactly one row';
insert into inbox_schema (version) values (1);
