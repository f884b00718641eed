/* relay/mysql/tail_columns.h - the columns of the outbox, whose names the log does not contain. */
#ifndef RELAY_MYSQL_TAIL_COLUMNS_H
#define RELAY_MYSQL_TAIL_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "relay/mysql/binlog_table.h"
#include "relay/mysql/session.h"

/* The names as information_schema has them. */
struct my_tail_columns {
    char schema[MY_TABLE_NAME_BYTES];
    char table[MY_TABLE_NAME_BYTES];
    char *names; /* each with a zero byte */
    size_t size;
    size_t count;
};

/* Reads the columns. False: see the session; also if the values of one are unusable in the log. *ret_columns is for
 * my_tail_columns_done in any case. */
bool my_tail_columns_ask(struct my_session *session,
                         struct my_tail_columns *ret_columns) MUST_CHECK;
bool my_tail_columns_equal(const struct my_tail_columns *a, const struct my_tail_columns *b);
void my_tail_columns_done(struct my_tail_columns *columns);

#endif
