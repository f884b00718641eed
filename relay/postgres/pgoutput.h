/* relay/postgres/pgoutput.h - decodes the messages of PostgreSQL's logical replication (plugin pgoutput, protocol
 * version 1, option binary) as far as an outbox needs them: bytes in, rows out. No I/O, no allocation; whatever the
 * bytes are, it never reads outside them.
 *
 * Formats: PostgreSQL 15, "Logical Replication Message Formats". A message of an unknown type is an error: if it were
 * skipped, a message of an application could be lost. */
#ifndef RELAY_POSTGRES_PGOUTPUT_H
#define RELAY_POSTGRES_PGOUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "relay/ports/row.h"

/* The most that a table can have: MaxHeapAttributeNumber of the server. */
#define PGOUTPUT_COLUMNS_MAX 1600

enum pgoutput_type {
    PGOUTPUT_NOTHING, /* nothing of interest: origins, types, other tables, updates, deletes */
    PGOUTPUT_BEGIN,   /* position, committed_at_us */
    PGOUTPUT_COMMIT,  /* position: end of the transaction; committed_at_us */
    PGOUTPUT_ROW,     /* row: inserted into the outbox */
    PGOUTPUT_MESSAGE, /* position, transactional, prefix, content: of pg_logical_emit_message */
};

/* Only the fields of its type are set: clearing all of them took as long as decoding a message. */
struct pgoutput_event {
    enum pgoutput_type type;
    /* BEGIN: position of the transaction's commit record. COMMIT: end of the transaction, to be reported when
     * everything before it is safe. MESSAGE: position of the message. */
    uint64_t position;
    int64_t committed_at_us; /* BEGIN, COMMIT: since 1970, by the server's clock */
    struct row row; /* spans point into the decoded bytes; its position is that of the BEGIN */
    bool transactional;
    struct span prefix;
    struct span content;
};

struct pgoutput {
    uint32_t outbox_oid;
    uint64_t message_bytes_max; /* a row with more payload and headers is withheld */
    bool described;             /* the server has described the outbox */
    bool in_transaction;
    uint64_t position; /* of the transaction's commit record */
    /* The columns of the outbox as the server last described them: for each, which column it is (an enum in
     * pgoutput.c). */
    uint16_t column_count;
    uint8_t columns[PGOUTPUT_COLUMNS_MAX];
};

/* outbox_oid: the oid of the table outbox. */
void pgoutput_init(struct pgoutput *pgoutput, uint32_t outbox_oid, uint64_t message_bytes_max);

/* Decodes one message: the content of one XLogData. False if it is not understood (class ERROR_CONNECTION), or if the
 * table or the publication is not as `outbox-relay init` creates it (class ERROR_CONFIG); then the stream can't be used
 * any more. */
bool pgoutput_decode(struct pgoutput *pgoutput, const void *bytes, size_t size,
                     struct pgoutput_event *ret_event, struct error *reterr) MUST_CHECK;

#endif
