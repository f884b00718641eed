/* relay/mysql/error.h - what an error number of the server or of the client library means for the relay, in words that
 * say what to do. */
#ifndef RELAY_MYSQL_ERROR_H
#define RELAY_MYSQL_ERROR_H

#include <mysql.h>

#include "base/error.h"

/* Sets *reterr from the last call on `mysql`, which failed. */
void my_error_from_mysql(MYSQL *mysql, struct error *reterr);

void my_error_set(unsigned code, const char *text, struct error *reterr);

/* True if the session is gone after this error. */
bool my_error_is_of_connection(unsigned code) MUST_CHECK;
/* True if the server announced that it ends the session, so that no statement is to blame. */
bool my_error_is_announced(unsigned code) MUST_CHECK;
/* True if the server refused a statement or undid its transaction because of another transaction: a retry may
 * succeed. */
bool my_error_is_of_other_transaction(unsigned code) MUST_CHECK;
/* True if the content of a row can be the cause. `moves`: the statement moves or deletes rows, so it also runs triggers
 * and checks constraints that others have put on the tables. */
bool my_error_may_be_of_row(unsigned code, bool moves) MUST_CHECK;

/* True if a column without a default got no value. MariaDB reports this also for a statement without rows. */
bool my_error_is_of_missing_value(unsigned code) MUST_CHECK;

/* Sets the error for a pool in front of the server that runs the relay's statements in several sessions. */
void my_error_set_pooled(struct error *reterr);

#endif
