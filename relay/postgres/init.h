/* relay/postgres/init.h - `init` for a source's database: the tables, and the publication. */
#ifndef RELAY_POSTGRES_INIT_H
#define RELAY_POSTGRES_INIT_H

#include <stdio.h>

#include "relay/config/config.h"
#include "relay/ports/report.h"

/* `init` and `init_print` of struct database_kind: the tables in one transaction, and the publication if the source
 * tails. */
void init_postgres(struct report *report, const struct source_config *source);
void init_postgres_print(FILE *out, const char *schema);
/* `init_print_roles`. */
void init_postgres_print_roles(FILE *out, const char *schema);

#endif
