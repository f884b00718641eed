-- What the owner of the outbox says of itself about once a second. At most one row; how old updated_at is says whether it
-- can be believed. Times are UTC.
create table outbox_relay (
    single tinyint not null default 1 primary key,
    source varchar(1024) not null,
    host varchar(1024) not null,
    pid int not null,
    session bigint not null
        comment 'The connection_id() that wrote this: is it the owner now?',
    version varchar(255) not null,
    started_at datetime(6) not null,
    owned_since datetime(6) not null,
    updated_at datetime(6) not null default (utc_timestamp(6)),
    in_flight bigint not null
        comment 'Published, not yet confirmed',
    in_flight_since datetime(6)
        comment 'When the oldest of them was published',
    read_up_to bigint
        comment 'The highest id that was read',
    published_up_to bigint
        comment 'The highest id that was given to the broker',
    confirmed bigint not null
        comment 'Messages confirmed since the relay started',
    rate double not null
        comment 'Messages confirmed per second, lately',
    paused_reason text
        comment 'Why nothing goes out: broker unreachable, blocked, degraded, too many held; NULL: it works',
    paused_since datetime(6),
    `reads` varchar(4)
        comment 'tail: the log of the server; poll: the table',
    reads_reason text
        comment 'Why it polls although it is told to tail where it can; NULL: it does as it is told',
    swept bigint not null default 0
        comment 'Messages, since the relay started, that the log did not deliver and the sweep of the table found',
    constraint outbox_relay_single check (single = 1),
    constraint outbox_relay_reads check (`reads` in ('tail', 'poll'))
)
engine = InnoDB
default character set = utf8mb4
collate = /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */
comment = 'What the owner of the outbox says of itself about once a second'
