-- What was sent, lately: a row for each batch of messages that the broker has confirmed. The transaction that deletes them writes
-- it, so nothing is in it that was rolled back. The relay forgets the oldest (keep_sent, keep_sent_bytes). To look for an id by
-- hand: find_in_set(4711, ids); for a message id: locate(unhex('…'), message_ids).
create table outbox_sent_batch (
    place bigint not null auto_increment primary key
        comment 'The order in which they went',
    sent_at datetime(6) not null default (utc_timestamp(6))
        comment 'UTC: when the batch was confirmed and deleted',
    total_bytes bigint not null
        comment 'What this batch and all before it take in this table, about',
    ids longtext character set ascii not null
        comment 'What the messages had as id in the outbox, with commas between them',
    message_ids longblob not null
        comment 'Their message ids, 16 bytes each, in the same order'
)
engine = InnoDB
row_format = dynamic
comment = 'Batches of messages that the broker confirmed, of late (keep_sent, keep_sent_bytes)'
