/* relay/mysql/init.h - the part of `init` that is about a source's database: the tables, and what stands on them. */
#ifndef RELAY_MYSQL_INIT_H
#define RELAY_MYSQL_INIT_H

#include <stdio.h>

#include "relay/config/config.h"
#include "relay/ports/report.h"

/* As `init` of struct database_kind says it. A server of this kind commits each thing that is made: what was made before one that
 * cannot be stays, and the next `init` goes on there. */
void init_mysql(struct report *report, const struct source_config *source);

/* For `mariadb` or `mysql`, where nothing is yet. There are no schemas: NULL. */
void init_mysql_print(FILE *out, const char *schema);

#endif
