/* relay/mysql/binlog.h - decodes the binary log of MariaDB and MySQL as far as an outbox needs it: events in, rows of one
 * table out. No I/O; whatever the bytes, nothing outside of them is read, and no more memory is taken than one event may
 * have.
 *
 * The log is a sequence of groups, each a transaction, or a statement that is none. A group stands in it in one piece, in
 * the order of the commits. Here its position is where it begins (position.h): so "it was committed before P" is "its
 * position is below P", for every P that is between two groups, as those are that the server tells (SHOW MASTER STATUS: it
 * holds the lock of the log, under which groups are written whole).
 *
 * What it does not know ends it, as the table has everything that the log has: an event of an unknown type, unless it says
 * that it may be ignored; one that says that others are missing (INCIDENT); a statement that changes rows of the outbox's
 * schema (binlog_format is not ROW), since it may write the outbox by a trigger or a function without naming it; rows without
 * all their columns. And what changes the table's definition, by its name: from there on rows mean something else.
 *
 * Transactions of two phases (XA) stand in it twice: with their rows when they are prepared, without when they are
 * committed or rolled back. Rows of a prepared one are marked; they are nothing yet.
 *
 * Formats: MariaDB 10.11 and 11.8, MySQL 8.0 to 9.7, sql/log_event.h and libs/mysql/binlog/event of theirs. All integers
 * are little-endian. */
#ifndef RELAY_MYSQL_BINLOG_H
#define RELAY_MYSQL_BINLOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"
#include "relay/mysql/position.h"
#include "relay/ports/row.h"

#define MY_BINLOG_HEADER_BYTES 19

struct my_binlog;

struct my_binlog_options {
    const char *schema; /* of the outbox */
    const char *table;
    const char *const *
        columns; /* its names, in their order; for logs without names. They are copied, as the two are. */
    size_t column_count;
    struct my_log log;           /* that is read, */
    uint64_t position;           /* from here on */
    bool checksums;              /* events have them, until the log says otherwise */
    uint64_t message_bytes_max;  /* a row whose payload and headers are larger comes withheld, */
    size_t event_bytes_max;      /* and what is compressed and larger ends it */
    const atomic_bool *stopping; /* as my_inflate_new has it */
};

enum my_binlog_type {
    MY_BINLOG_NOTHING,     /* all of the event was given */
    MY_BINLOG_ROW,         /* row: inserted; its position is that of its group */
    MY_BINLOG_PREPARED,    /* xid: the rows of this group, if it has any, wait for its commit */
    MY_BINLOG_COMMITTED,   /* xid, and position: of this commit */
    MY_BINLOG_ROLLED_BACK, /* xid */
};

struct my_binlog_item {
    enum my_binlog_type type;
    bool is_prepared; /* ROW: only if its transaction is committed later */
    uint64_t position;
    struct span xid; /* X'…',X'…',1: as in the statements XA … */
    struct row row;  /* its spans are good until the next call */
};

struct my_binlog *my_binlog_new(const struct my_binlog_options *options);
void my_binlog_free(struct my_binlog *binlog);

/* The next event, whole. Its bytes must stay until all of it was given. False: as my_binlog_next. */
bool my_binlog_feed(struct my_binlog *binlog, struct span event, struct error *reterr) MUST_CHECK;

/* What came of it, one after the other. False: it is not understood, or damaged (ERROR_CONNECTION); or something is not as
 * it must be for rows to be had from the log (ERROR_CONFIG); or it came to a place from which on the table must be looked
 * at anew (ERROR_TRANSIENT). Then it can't be used any more. */
bool my_binlog_next(struct my_binlog *binlog, struct my_binlog_item *ret_item,
                    struct error *reterr) MUST_CHECK;

/* All groups before it have been given. */
uint64_t my_binlog_position(const struct my_binlog *binlog);

#endif
