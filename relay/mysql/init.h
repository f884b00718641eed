/* relay/mysql/init.h - `init` for a source's database: the tables, and the constraints, trigger, view and procedure
 * that belong to them. */
#ifndef RELAY_MYSQL_INIT_H
#define RELAY_MYSQL_INIT_H

#include <stdio.h>

#include "relay/config/config.h"
#include "relay/ports/report.h"

/* `init` of struct database_kind. A server of this kind commits each definition by itself: if one fails, those before
 * it stay, and the next `init` continues there. */
void init_mysql(struct report *report, const struct source_config *source);

/* `init_print` of struct database_kind: SQL for the programs `mariadb` and `mysql`, for a database without any of these
 * tables. `schema` is NULL, as there are no schemas. */
void init_mysql_print(FILE *out, const char *schema);
/* `init_print_roles`, likewise. */
void init_mysql_print_roles(FILE *out, const char *schema);

#endif
