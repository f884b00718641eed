/* relay/ports/row.h - one outbox row as a source reads it. Spans point into the batch that the row came
 * with. */
#ifndef RELAY_PORTS_ROW_H
#define RELAY_PORTS_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/uuid.h"
#include "relay/ports/log_position.h"

struct batch;

struct row {
    struct batch *batch; /* that it came with; set and used by the worker */
    int64_t id;
    uint8_t message_id[UUID_BYTES];
    int64_t created_at_us; /* since 1970 */
    /* Of the key, made by the database, so that a statement can leave keys out by it. */
    int64_t key_hash;
    bool has_key;
    bool ordered; /* has a key whose order it keeps: not one that was skipped, and is tried again */
    bool exchange_is_null; /* goes to the source's default exchange */
    /* Why nothing of what follows was read: it can never be sent; NULL: it was. */
    const char *withheld;
    /* Was written for a later time, and has not got its place yet: headers and payload were not read. */
    bool scheduled;
    log_position position; /* where its transaction was committed; 0: it was read from the table */
    struct span exchange;
    struct span routing_key;
    struct span key;
    struct span type;
    struct span content_type;
    struct span headers; /* JSON text; size 0 = none */
    struct span payload;
};

/* What the statements that read rows give, in this order, whichever the database is (fetch_next.sql). */
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
