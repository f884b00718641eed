-- Messages set aside: they cannot go now, and do not stand in the way of others. A message is in "outbox" or in
-- "outbox_held", never in both: each move between them is one transaction.
--
-- What only relays use, by hand in this directory, after what outbox.sql says:
-- for file in outbox_held outbox_held_act outbox_relay outbox_sent_batch outbox_relay_schema outbox_relay_version; do mariadb --delimiter=// shop <$file.sql; done
-- and, for applications that cancel scheduled messages, outbox_cancel. `outbox-relay init` makes all of it where it is missing.
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
    extra longtext
        comment 'What it had in columns that others have added to the outbox, a JSON object of texts: it gets that back',
    -- Keys are found by their hash, which the relay uses too: an index of InnoDB takes 3072 bytes, this column may have 4100. (MySQL
    -- refuses md5 and sha1 here, error 3763.)
    key_hash bigint as (case when `key` is null then 0 else cast(conv(left(sha2(`key`, 256), 15), 16, 10) as signed) end) stored
        comment 'The first 15 hexadecimal digits of the SHA-256 of the key; 0: it has none',
    index outbox_held_due (state, next_attempt_at, id),
    index outbox_held_waiting (state, key_hash, id),
    index outbox_held_heads (state, skipped, key_hash, id),
    index outbox_held_message_id (message_id),
    constraint outbox_held_state check (state in ('scheduled', 'retrying', 'waiting', 'dead')),
    constraint outbox_held_waiting_has_a_key check (state <> 'waiting' or `key` is not null),
    constraint outbox_held_extra_object check (extra is null or (json_valid(extra) and json_type(extra) = 'OBJECT'))
)
engine = InnoDB
row_format = dynamic
default character set = utf8mb4
collate = /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */
comment = 'Messages set aside: they cannot go now, and do not stand in the way of others'
