/* relay/ports/row.h - one outbox row as a source reads it. Its spans point into the batch with which it came. */
#ifndef RELAY_PORTS_ROW_H
#define RELAY_PORTS_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/uuid.h"
#include "relay/ports/log_position.h"

struct batch;

struct row {
    struct batch *batch; /* with which it came; set and used by the worker */
    int64_t id;
    uint8_t message_id[UUID_BYTES];
    int64_t created_at_us; /* since 1970 */
    /* Hash of the key, if `ordered`; the same in rows of the table, in rows of the log, and in the statements that find
     * held messages by it (heads, release). */
    int64_t key_hash;
    bool has_key;
    /* Has a key and keeps its order. False for a skipped message that is tried again. */
    bool ordered;
    bool exchange_is_null; /* to the source's default exchange */
    /* Why the fields below were not read: the message can never be sent. Lives as long as the batch. NULL: they were
     * read. */
    const char *withheld;
    /* Written for a later time, and without its place in the order yet: headers and payload were not read. */
    bool scheduled;
    log_position position; /* position of its commit; 0: read from the table */
    struct span exchange;  /* a column that is NULL has size 0 here and below */
    struct span routing_key;
    struct span key;
    struct span type;
    struct span content_type;
    struct span headers; /* JSON text; size 0 = none */
    struct span payload;
};

/* The order of the columns in the statements that read rows (fetch_next.sql): a convention, nothing but the kinds of
 * database uses it. */
enum row_column {
    ROW_COLUMN_ID,
    ROW_COLUMN_MESSAGE_ID,
    ROW_COLUMN_CREATED_AT,
    ROW_COLUMN_KEY_HASH,
    ROW_COLUMN_ORDERED,
    ROW_COLUMN_SCHEDULED,
    ROW_COLUMN_WITHHELD,
    ROW_COLUMN_CUT,
    ROW_COLUMN_EXCHANGE,
    ROW_COLUMN_ROUTING_KEY,
    ROW_COLUMN_KEY,
    ROW_COLUMN_TYPE,
    ROW_COLUMN_CONTENT_TYPE,
    ROW_COLUMN_HEADERS,
    ROW_COLUMN_PAYLOAD,
    ROW_COLUMNS,
};

#endif
