-- Messages set aside: they cannot go now, and do not stand in the way of others. As on PostgreSQL, without what the relay's
-- source for these servers will decide: how keys are found in an index (one of 1024 bytes is too long for InnoDB), and where
-- values of columns go that others have added to the outbox. Nothing makes or installs this table yet.
create table outbox_held (
    id bigint not null primary key
        comment 'The id it had in the outbox, and will have again when it goes back; a scheduled one gets a new id when its time has come',
    message_id varbinary(37) not null,
    exchange varchar(256),
    routing_key varchar(256) not null,
    `key` varchar(1025),
    type varchar(256),
    content_type varchar(256),
    headers longtext,
    payload longblob not null,
    created_at datetime(6) not null,
    deliver_after datetime(6),
    state varchar(9) not null
        comment 'scheduled: deliver_after is to come; retrying: the broker refused it, tried again at next_attempt_at; waiting: behind a message of its key that is retrying or dead; dead: not tried again unless an operator says so',
    skipped boolean not null default false
        comment 'Its key went on without it (on_dead = "skip")',
    attempts int not null default 0
        comment 'How often the broker refused it for what it is; outages do not count',
    next_attempt_at datetime(6)
        comment 'UTC',
    last_error text
        comment 'Why the broker, or the relay, refused it last',
    held_at datetime(6) not null default (utc_timestamp(6))
        comment 'UTC',
    index outbox_held_due (state, next_attempt_at, id),
    index outbox_held_message_id (message_id),
    constraint outbox_held_state check (state in ('scheduled', 'retrying', 'waiting', 'dead')),
    constraint outbox_held_waiting_has_a_key check (state <> 'waiting' or `key` is not null)
)
engine = InnoDB
row_format = dynamic
default character set = utf8mb4
collate = /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */
comment = 'Messages set aside: they cannot go now, and do not stand in the way of others'
