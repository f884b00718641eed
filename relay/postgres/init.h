/* relay/postgres/init.h - the part of `init` that is about a source's database: the tables, and the publication. */
#ifndef RELAY_POSTGRES_INIT_H
#define RELAY_POSTGRES_INIT_H

#include <stdio.h>

#include "relay/config/config.h"
#include "relay/ports/report.h"

/* As `init` of struct database_kind says it: the tables in one transaction, and where the source tails, the publication. */
void init_postgres(struct report *report, const struct source_config *source);
void init_postgres_print(FILE *out, const char *schema);

#endif
