-- For consumers that must not apply an older state after a newer one (inbox_mysql_advance): which version of what a key
-- names a consumer has applied last. Created after the inbox; consumers that do not use it need no such table. By hand:
-- mariadb --database=NAME <schema_newest.sql
--
-- A row for each key, to be kept for as long as an older version may still come. Bytes and InnoDB: see schema.sql.
create table inbox_newest (
    consumer varbinary(255) not null comment 'Who applied it, as in inbox',
    message_key varbinary(1024) not null comment 'What it is the state of: an order, a customer',
    version bigint not null comment 'The highest version that was applied',
    advanced_at datetime(6) not null default (utc_timestamp(6)) comment 'When it was applied, in UTC',
    primary key (consumer, message_key)
) engine = InnoDB comment = 'The newest state that was applied, in the same transaction as its effect';
