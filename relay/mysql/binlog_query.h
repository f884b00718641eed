/* relay/mysql/binlog_query.h - what a statement that stands in the log as text does: the servers write the ends of
 * transactions so, changes of tables' definitions, and changes of rows where binlog_format is not ROW. */
#ifndef RELAY_MYSQL_BINLOG_QUERY_H
#define RELAY_MYSQL_BINLOG_QUERY_H

#include <stdbool.h>

#include "base/span.h"

enum my_query_kind {
    MY_QUERY_BEGIN,
    MY_QUERY_COMMIT,
    MY_QUERY_ROLLBACK,
    MY_QUERY_SAVEPOINT, /* set, or gone back to */
    MY_QUERY_XA_START,
    MY_QUERY_XA_END,
    MY_QUERY_XA_COMMIT,
    MY_QUERY_XA_ROLLBACK,
    MY_QUERY_DEFINITION, /* of a table, an account, …: no rows are written by it */
    MY_QUERY_ROWS,       /* anything else: it may write rows, perhaps by a trigger or a function */
};

/* ret_rest: what follows the words by which it was recognised, without blanks at its ends. */
enum my_query_kind my_query_kind_of(struct span text, struct span *ret_rest);

/* Whether the name stands in the text as a word of its own, in any case of letters, and not as that of an account. */
bool my_query_names(struct span text, const char *name);

#endif
