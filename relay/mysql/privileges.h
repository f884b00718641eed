/* relay/mysql/privileges.h - what the relay's account may not do with the tables, and must. */
#ifndef RELAY_MYSQL_PRIVILEGES_H
#define RELAY_MYSQL_PRIVILEGES_H

#include <mysql.h>

#include "base/error.h"

/* Tries every kind of statement that the relay runs, on no rows. *ret_grants: the grants that are missing, "grant insert, delete on
 * outbox; grant …", cut to its size; empty: none is. `keeps_sent`: the relay is told to remember what it sent. False with *ret_number,
 * the error's, if something else is wrong. It waits, so on a thread that may. */
bool my_privileges_missing(MYSQL *mysql, bool keeps_sent, char *ret_grants, size_t size,
                           unsigned *ret_number) MUST_CHECK;

#endif
