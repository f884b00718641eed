/* consumers/mysql_query.h - runs one statement on the application's connection, and tells what a failure means for
 * it. */
#ifndef CONSUMERS_MYSQL_QUERY_H
#define CONSUMERS_MYSQL_QUERY_H

#include <inbox/inbox_mysql.h>

#include "base/error.h"

/* Runs one statement. *ret_rows: its result, to be freed with mysql_free_result; NULL for a statement without rows.
 * INBOX_CONNECTION if conn is NULL or not connected. */
inbox_result mysql_query_run(MYSQL *conn, const char *text, size_t length, MYSQL_RES **ret_rows,
                             struct inbox_error *reterr) MUST_CHECK;

/* The result for an error number of the server or the client library. */
inbox_result mysql_query_classify(unsigned int number);

#endif
