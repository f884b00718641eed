-- Messages that went out, if the relay is told to remember them (keep_sent). A message may be here twice, and a server may
-- insist on a primary key (sql_require_primary_key, Galera, group replication), so the table has one of its own.
create table outbox_sent (
    place bigint not null auto_increment primary key
        comment 'The order in which they went',
    message_id varbinary(37) not null,
    id bigint not null,
    sent_at datetime(6) not null default (utc_timestamp(6))
        comment 'UTC',
    index outbox_sent_message_id (message_id),
    index outbox_sent_at (sent_at)
)
engine = InnoDB
row_format = dynamic
comment = 'Messages that went out, if the relay is told to remember them (keep_sent)'
