/* relay/postgres/pgoutput.h - decodes the messages of PostgreSQL's logical replication (plugin pgoutput, protocol
 * version 1, option binary) as far as an outbox needs them: bytes in, rows out. No I/O, no allocation; whatever the
 * bytes, nothing outside of them is read.
 *
 * Formats: PostgreSQL 15, "Logical Replication Message Formats". A message of a type that is not known is an error: what is
 * skipped could be a message of somebody. */
#ifndef RELAY_POSTGRES_PGOUTPUT_H
#define RELAY_POSTGRES_PGOUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "relay/ports/row.h"

#define PGOUTPUT_COLUMNS_MAX 1600 /* of a table: MaxHeapAttributeNumber of the server */

enum pgoutput_type {
    PGOUTPUT_NOTHING, /* nothing of interest: origins, types, other tables, updates, deletes */
    PGOUTPUT_BEGIN,   /* position, committed_at_us */
    PGOUTPUT_COMMIT,  /* position: behind the transaction; committed_at_us */
    PGOUTPUT_ROW,     /* row: inserted into the outbox */
    PGOUTPUT_MESSAGE, /* position, transactional, prefix, content: of pg_logical_emit_message */
};

/* Of the fields only those of its type are set: to clear them all for each message took as long as to decode it. */
struct pgoutput_event {
    enum pgoutput_type type;
    /* BEGIN: the transaction's commit record; COMMIT: the end of it, to be reported when all up to here is safe; MESSAGE:
     * its own. */
    uint64_t position;
    int64_t committed_at_us; /* BEGIN, COMMIT: since 1970, by the server's clock */
    struct row row; /* spans point into the bytes given in; its position is that of the BEGIN */
    bool transactional;
    struct span prefix;
    struct span content;
};

struct pgoutput {
    uint32_t outbox_oid;
    uint64_t message_bytes_max; /* a row whose payload and headers are larger comes withheld */
    bool described;             /* a description of the outbox came */
    bool in_transaction;
    uint64_t position; /* of the transaction's commit record */
    /* The columns of the outbox as the server last described them: which of them is what, by enum of the decoder. */
    uint16_t column_count;
    uint8_t columns[PGOUTPUT_COLUMNS_MAX];
};

/* outbox_oid: the table's. */
void pgoutput_init(struct pgoutput *pgoutput, uint32_t outbox_oid, uint64_t message_bytes_max);

/* One message: the content of one XLogData. False: it is not understood (class ERROR_CONNECTION), or the table or the publication is not as `outbox-relay init`
 * makes it (class ERROR_CONFIG); then the stream can't be used any more. */
bool pgoutput_decode(struct pgoutput *pgoutput, const void *bytes, size_t size,
                     struct pgoutput_event *ret_event, struct error *reterr) MUST_CHECK;

#endif
