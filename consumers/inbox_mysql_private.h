/* consumers/inbox_mysql_private.h - shared by the files of libinbox-mysql. */
#ifndef CONSUMERS_INBOX_MYSQL_PRIVATE_H
#define CONSUMERS_INBOX_MYSQL_PRIVATE_H

#include <inbox/inbox_mysql.h>

#include "base/error.h"

struct inbox_mysql {
    char *database;
    bool has_newest; /* there is a table inbox_newest, and it guards keys */
};

/* Checks that the tables have this library's version and are in the inbox's database, and that the server has an open
 * transaction. */
inbox_result inbox_mysql_look_in_transaction(const inbox_mysql *inbox, MYSQL *tx,
                                             struct inbox_error *reterr) MUST_CHECK;

#endif
