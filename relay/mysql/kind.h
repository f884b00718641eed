/* relay/mysql/kind.h - MariaDB and MySQL, as a kind of database. */
#ifndef RELAY_MYSQL_KIND_H
#define RELAY_MYSQL_KIND_H

#include "relay/ports/database.h"

extern const struct database_kind database_mysql;

#endif
