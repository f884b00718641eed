/* relay/mysql/prepared.h - the rows of transactions that were prepared (XA) and are still open. The log has the rows
 * where the transaction was prepared, but they count only when it is committed, which may be days later or never. So
 * they are kept here until the log has the commit or the rollback.
 *
 * A transaction that was prepared before the place from which the log is read is not known here, and need not be: its
 * locks keep every later place of the log from being final (source_watermark.h), so the table was read after its
 * commit.
 *
 * The memory is limited. Of a transaction beyond the limit only the commit is reported, and then the table must be
 * read. */
#ifndef RELAY_MYSQL_PREPARED_H
#define RELAY_MYSQL_PREPARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/mysql/row_copies.h"
#include "relay/ports/log_position.h"

#define MY_PREPARED_MAX 256
/* As text: two parts of 64 bytes in hex, a number, and the characters between them. */
#define MY_XID_BYTES 300

struct my_prepared_transaction {
    char xid[MY_XID_BYTES];
    bool is_lost; /* its rows were over the limit and are not kept */
    struct my_row_copies rows;
};

struct my_prepared {
    uint64_t bytes_max;
    uint64_t bytes; /* of memory that the rows of `items` take */
    struct my_prepared_transaction items[MY_PREPARED_MAX];
    size_t count;
    bool is_overflowed; /* there were once more than MY_PREPARED_MAX at a time */
    /* The group that is being read, and where it begins: */
    struct my_prepared_transaction open;
    log_position open_position;
};

struct my_prepared *my_prepared_new(uint64_t bytes_max);
void my_prepared_free(struct my_prepared *prepared);

/* Adds a row of a group that ends by being prepared; the row's position is that of its group. */
void my_prepared_row(struct my_prepared *prepared, const struct row *row);
/* The group has ended: keeps its rows under this XID until the commit. */
void my_prepared_keep(struct my_prepared *prepared, struct span xid);

enum my_prepared_fate {
    MY_PREPARED_NONE, /* it has no rows of the outbox, or all of them are in the table already */
    MY_PREPARED_ROWS, /* these rows */
    MY_PREPARED_LOST, /* it has rows that were not kept */
};

/* The transaction is committed at this position, which becomes the position of its rows. MY_PREPARED_ROWS: the caller
 * owns *ret_rows. */
enum my_prepared_fate my_prepared_commit(struct my_prepared *prepared, struct span xid,
                                         log_position position, struct my_row_copies *ret_rows);
void my_prepared_roll_back(struct my_prepared *prepared, struct span xid);

#endif
