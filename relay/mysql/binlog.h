/* relay/mysql/binlog.h - decodes the binary log of MariaDB and MySQL as far as an outbox needs it: events in, rows of
 * one table out. No I/O. Whatever the bytes are, it never reads outside them, and it never takes more memory than one
 * event may have.
 *
 * The log is a sequence of groups: each is a transaction, or a single statement that is not part of one. The events of
 * a group stand together, and groups stand in the order of their commits. The position of a group is where it begins
 * (position.h). So a group was committed before P exactly if its position is below P, for every P between two groups.
 * The positions that the server reports are of this kind: for SHOW MASTER STATUS it holds the lock of the log, under
 * which it writes whole groups.
 *
 * It stops with an error at everything that it does not understand, because the relay can always read the table
 * instead: an event of an unknown type, unless the event says that it may be ignored; an event which says that others
 * are missing (INCIDENT); a statement that changes rows of the outbox's schema (binlog_format is not ROW), since a
 * trigger or a function may write to the outbox although the statement does not name it; rows that lack columns. It
 * also stops at a statement that changes the definition of the table, recognised by the table's name, because rows
 * after it have another meaning.
 *
 * Transactions of two phases (XA) appear twice: with their rows when they are prepared, and without rows when they are
 * committed or rolled back. Rows of a prepared transaction are marked, because it may still be rolled back.
 *
 * Formats: MariaDB 10.11 and 11.8, MySQL 8.0 to 9.7: sql/log_event.h and libs/mysql/binlog/event in their sources. All
 * integers are little-endian. */
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
    /* The names of the table's columns in their order, for logs that do not contain them. All names are copied. */
    const char *const *columns;
    size_t column_count;
    /* The log and the position from which it is read. */
    struct my_log log;
    uint64_t position;
    bool checksums;              /* events have checksums, until the log says otherwise */
    uint64_t message_bytes_max;  /* a row with more payload and headers is withheld */
    size_t event_bytes_max;      /* compressed data that is larger is an error */
    const atomic_bool *stopping; /* see my_inflate_new */
};

enum my_binlog_type {
    MY_BINLOG_NOTHING,     /* nothing is left of the event */
    MY_BINLOG_ROW,         /* row: inserted; its position is that of its group */
    MY_BINLOG_PREPARED,    /* xid: the rows of this group, if any, wait for its commit */
    MY_BINLOG_COMMITTED,   /* xid, and the position of this commit */
    MY_BINLOG_ROLLED_BACK, /* xid */
};

struct my_binlog_item {
    enum my_binlog_type type;
    bool is_prepared; /* ROW: the transaction is only prepared, not committed */
    uint64_t position;
    struct span xid; /* X'…',X'…',1: as in XA statements */
    struct row row;  /* its spans are valid until the next call */
};

struct my_binlog *my_binlog_new(const struct my_binlog_options *options);
void my_binlog_free(struct my_binlog *binlog);

/* Gives it the next event, whole. Its bytes must stay valid until my_binlog_next has given MY_BINLOG_NOTHING. Errors:
 * see my_binlog_next. */
bool my_binlog_feed(struct my_binlog *binlog, struct span event, struct error *reterr) MUST_CHECK;

/* Gives the items of the event one by one. False: the event is not understood or damaged (ERROR_CONNECTION); or the
 * server or the table is not set up as reading the log requires (ERROR_CONFIG); or from here on the table must be read
 * first (ERROR_TRANSIENT). Then the decoder can't be used any more. */
bool my_binlog_next(struct my_binlog *binlog, struct my_binlog_item *ret_item,
                    struct error *reterr) MUST_CHECK;

/* All groups before this position have been given. */
uint64_t my_binlog_position(const struct my_binlog *binlog);

#endif
