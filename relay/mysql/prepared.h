/* relay/mysql/prepared.h - the rows of transactions that were prepared (XA) and are not over. They stand in the log where
 * it was prepared, and are nothing before it is committed, which may be days later or never; so they are kept here, and go
 * when the log has the commit.
 *
 * One that was prepared before the place from which the log is read is not known here, and need not be: it holds locks that
 * keep every later place of the log from being final (source_watermark.h), so the table was read after its commit.
 *
 * What is kept is bounded. Of what is more than that only the commit is told, and then the table must be read. */
#ifndef RELAY_MYSQL_PREPARED_H
#define RELAY_MYSQL_PREPARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/mysql/row_copies.h"
#include "relay/ports/log_position.h"

#define MY_PREPARED_MAX 256
/* In words: two parts of 64 bytes in hex, a number, and what is between them. */
#define MY_XID_BYTES 300

struct my_prepared_transaction {
    char xid[MY_XID_BYTES];
    bool is_lost; /* its rows were too much */
    struct my_row_copies rows;
};

struct my_prepared {
    uint64_t bytes_max;
    uint64_t bytes; /* that are kept, of those below */
    struct my_prepared_transaction items[MY_PREPARED_MAX];
    size_t count;
    bool is_overflowed; /* there were more than MY_PREPARED_MAX */
    /* Of the group that is being read, from where it begins: */
    struct my_prepared_transaction open;
    log_position open_position;
};

struct my_prepared *my_prepared_new(uint64_t bytes_max);
void my_prepared_free(struct my_prepared *prepared);

/* A row of a group that is prepared at its end; the row's position is that of its group. */
void my_prepared_row(struct my_prepared *prepared, const struct row *row);
/* The group has ended. */
void my_prepared_keep(struct my_prepared *prepared, struct span xid);

enum my_prepared_fate {
    MY_PREPARED_NONE, /* no row of the outbox, or all that there were are in the table */
    MY_PREPARED_ROWS, /* these */
    MY_PREPARED_LOST, /* there are some that were not kept */
};

/* It is committed, at this position: that of the rows from now on. ROWS: they are the caller's. */
enum my_prepared_fate my_prepared_commit(struct my_prepared *prepared, struct span xid,
                                         log_position position, struct my_row_copies *ret_rows);
void my_prepared_roll_back(struct my_prepared *prepared, struct span xid);

#endif
