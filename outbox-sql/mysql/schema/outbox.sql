-- The outbox of one database: MariaDB 10.11 or newer, MySQL 8.0.22 or newer. By hand, in this directory:
-- for file in outbox outbox_payload outbox_new outbox_schema outbox_version; do mariadb --delimiter=// shop <$file.sql; done
-- (or mysql for mariadb). It takes an account that stays: trigger and view work with the rights of who made them.
--
-- A row is in "outbox" if and only if its message is committed and not yet confirmed by the broker (or set aside).
--
-- A session without strict mode (sql_mode) cuts what is too long and goes on. So each text has room for one character more
-- than it may have, and what was cut is still too long for its check. Keys that differ in case, accent or a space at the end
-- are different keys: the collation compares bytes and pads nothing. It has another name on each server, and each reads only
-- its own comment. Times are UTC, whatever the time zone of the session.
create table outbox (
    id bigint not null auto_increment primary key
        comment 'Order of writing; within a key, the order of delivery',
    -- UUID version 7, as the writer library makes them: milliseconds since 1970, then the version, random bits, the variant.
    -- A UUID as a text is taken too: outbox_payload.sql makes 16 bytes of it. With binlog_format = STATEMENT a replica would
    -- make another one, and the server warns (1592): give one there, as the library does. MIXED and ROW send what was made.
    message_id varbinary(37) not null
        default (unhex(concat(
            lpad(hex(timestampdiff(microsecond, '1970-01-01', utc_timestamp(3)) div 1000), 12, '0'),
            insert(insert(hex(random_bytes(10)), 1, 1, '7'), 5, 1, substr('89AB', 1 + floor(rand() * 4), 1)))))
        comment 'AMQP message-id, 16 bytes, the name by which consumers recognise a duplicate',
    exchange varchar(256)
        comment 'NULL: the default exchange of the source; empty: AMQP''s default exchange; at most 255 bytes',
    routing_key varchar(256) not null default ''
        comment 'AMQP routing key, at most 255 bytes',
    `key` varchar(1025)
        comment 'Ordering key, such as the id of the aggregate, at most 1024 bytes; NULL: unordered',
    type varchar(256)
        comment 'AMQP type property, at most 255 bytes',
    content_type varchar(256)
        comment 'AMQP content-type property, at most 255 bytes',
    headers longtext
        comment 'AMQP headers: a JSON object, at most 128 KiB',
    payload longblob
        comment 'The body, sent as it is; or give payload_text',
    payload_text longtext
        comment 'The body as text, such as JSON: sent in UTF-8, character by character. Instead of payload, which it becomes',
    created_at datetime(6) not null default (utc_timestamp(6))
        comment 'UTC: the statement that wrote the row',
    deliver_after datetime(6)
        comment 'UTC: not to be sent before this time, and then behind what was written before it; NULL: at once',
    constraint outbox_message_id_16_bytes check (octet_length(message_id) = 16),
    constraint outbox_exchange_255_bytes check (octet_length(exchange) <= 255),
    constraint outbox_routing_key_255_bytes check (octet_length(routing_key) <= 255),
    constraint outbox_key_1024_bytes check (octet_length(`key`) <= 1024),
    constraint outbox_type_255_bytes check (octet_length(type) <= 255),
    constraint outbox_content_type_255_bytes check (octet_length(content_type) <= 255),
    constraint outbox_headers_128_kib check (octet_length(headers) <= 131072),
    constraint outbox_headers_object check (headers is null or (json_valid(headers) and json_type(headers) = 'OBJECT')),
    constraint outbox_payload_set check (payload is not null and payload_text is null),
    -- What such a session makes of a text that is no time.
    constraint outbox_deliver_after_is_a_time check (deliver_after >= '1970-01-01')
)
engine = InnoDB
row_format = dynamic
default character set = utf8mb4
collate = /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */
comment = 'Messages committed with the business change and not yet confirmed by the broker'
