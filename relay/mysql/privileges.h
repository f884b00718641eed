/* relay/mysql/privileges.h - finds the privileges on the tables that the relay's account lacks. */
#ifndef RELAY_MYSQL_PRIVILEGES_H
#define RELAY_MYSQL_PRIVILEGES_H

#include <mysql.h>

#include "base/error.h"

/* Tries every kind of statement that the relay runs, on no rows. *ret_grants: the missing grants, "grant insert, delete
 * on outbox; grant …", cut to `size`; empty: none. `for_sent`: those for the record of
 * what was sent, else all others. False with the error number in *ret_number if something else is wrong. Blocks. */
bool my_privileges_missing(MYSQL *mysql, bool for_sent, char *ret_grants, size_t size,
                           unsigned *ret_number) MUST_CHECK;

#endif
