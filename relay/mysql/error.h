/* relay/mysql/error.h - what an error number of the server or of the client library means to the relay, in words that say what
 * to do. */
#ifndef RELAY_MYSQL_ERROR_H
#define RELAY_MYSQL_ERROR_H

#include <mysql.h>

#include "base/error.h"

/* Of the last call that failed. */
void my_error_from_mysql(MYSQL *mysql, struct error *reterr);

void my_error_set(unsigned code, const char *text, struct error *reterr);

/* Whether the session is gone with it. */
bool my_error_is_of_connection(unsigned code) MUST_CHECK;
/* Whether the server has said that it ends the session: nobody's statement is to blame. */
bool my_error_is_announced(unsigned code) MUST_CHECK;
/* Whether the server has undone something for the sake of another transaction: the same may go well the next time. */
bool my_error_is_of_other_transaction(unsigned code) MUST_CHECK;
/* Whether the content of a row can be the cause. `moves`: of a statement that moves or deletes it, and so runs what others have
 * put on the tables: triggers, constraints. */
bool my_error_may_be_of_row(unsigned code, bool moves) MUST_CHECK;

/* Whether a message has no value for a column that asks for one: MariaDB says so also of a statement that has no rows. */
bool my_error_is_of_missing_value(unsigned code) MUST_CHECK;

/* A pool before the server gives statements to other sessions. */
void my_error_set_pooled(struct error *reterr);

#endif
