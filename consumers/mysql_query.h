/* consumers/mysql_query.h - one statement on a connection of the application's, and what a failure means to it. */
#ifndef CONSUMERS_MYSQL_QUERY_H
#define CONSUMERS_MYSQL_QUERY_H

#include <inbox/inbox_mysql.h>

#include "base/error.h"

/* Runs one statement. *ret_rows: what it answered, to be freed with mysql_free_result; NULL for a statement without rows. A NULL
 * conn, or one that is not connected, is INBOX_CONNECTION. */
inbox_result mysql_query_run(MYSQL *conn, const char *text, size_t length, MYSQL_RES **ret_rows,
                             struct inbox_error *reterr) MUST_CHECK;

/* What an error number of server or client means. */
inbox_result mysql_query_classify(unsigned int number);

#endif
