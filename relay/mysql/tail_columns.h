/* relay/mysql/tail_columns.h - the columns of the outbox, which have no names in the log. */
#ifndef RELAY_MYSQL_TAIL_COLUMNS_H
#define RELAY_MYSQL_TAIL_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "relay/mysql/binlog_table.h"
#include "relay/mysql/session.h"

/* As information_schema calls all of it. */
struct my_tail_columns {
    char schema[MY_TABLE_NAME_BYTES];
    char table[MY_TABLE_NAME_BYTES];
    char *names; /* each with its zero */
    size_t size;
    size_t count;
};

/* False: the session says why; also where one is such that its values in the log are of no use. They are to be done in any
 * case. */
bool my_tail_columns_ask(struct my_session *session,
                         struct my_tail_columns *ret_columns) MUST_CHECK;
bool my_tail_columns_equal(const struct my_tail_columns *a, const struct my_tail_columns *b);
void my_tail_columns_done(struct my_tail_columns *columns);

#endif
