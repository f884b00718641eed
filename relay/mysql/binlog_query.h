/* relay/mysql/binlog_query.h - recognises what a statement does that stands in the log as text: the ends of
 * transactions, changes of table definitions, and, where binlog_format is not ROW, changes of rows. */
#ifndef RELAY_MYSQL_BINLOG_QUERY_H
#define RELAY_MYSQL_BINLOG_QUERY_H

#include <stdbool.h>

#include "base/span.h"

enum my_query_kind {
    MY_QUERY_BEGIN,
    MY_QUERY_COMMIT,
    MY_QUERY_ROLLBACK,
    MY_QUERY_SAVEPOINT, /* set, or rolled back to */
    MY_QUERY_XA_START,
    MY_QUERY_XA_END,
    MY_QUERY_XA_COMMIT,
    MY_QUERY_XA_ROLLBACK,
    MY_QUERY_DEFINITION, /* definition of a table, an account, …: writes no rows */
    MY_QUERY_ROWS,       /* anything else: may write rows, perhaps by a trigger or a function */
};

/* *ret_rest: the text after the words that identified the statement, without blanks around it; it points into
 * `text`. */
enum my_query_kind my_query_kind_of(struct span text, struct span *ret_rest);

/* True if the name is in the text as a whole word, in upper or lower case, unless it is the name of an account. */
bool my_query_names(struct span text, const char *name);

#endif
