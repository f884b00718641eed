-- Who retried or discarded which held message, and when: a row a message. A running relay takes note of what it has not
-- seen.
create table outbox_held_act (
    id bigint not null auto_increment primary key,
    at datetime(6) not null default (utc_timestamp(6))
        comment 'UTC',
    who varchar(1024) not null
        comment 'The operator''s login and machine, and the account of the database',
    what varchar(7) not null,
    message_id varbinary(37) not null,
    held_id bigint not null,
    `key` varchar(1025),
    state varchar(9) not null
        comment 'The state that the message had before',
    seen_at datetime(6)
        comment 'UTC: when the relay took note',
    index outbox_held_act_unseen (seen_at, id),
    index outbox_held_act_message_id (message_id),
    constraint outbox_held_act_what check (what in ('retry', 'discard'))
)
engine = InnoDB
row_format = dynamic
default character set = utf8mb4
collate = /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */
comment = 'Who retried or discarded which held message, and when: delete old ones as you like'
