/* relay/postgres/sql.h - the statements of the .sql files, for the schema in which the outbox is.
 *
 * Sessions have only pg_catalog in their search_path (find.sql says why), so tables of the outbox are named with their
 * schema. The files use psql's syntax for a variable: :"schema" as a name, :'schema' as a text. So they run in psql
 * unchanged, with -v schema=public. */
#ifndef RELAY_POSTGRES_SQL_H
#define RELAY_POSTGRES_SQL_H

#include <stdbool.h>

#include "base/error.h"

/* The statement with the quoted schema in it; client_encoding must be UTF8. Free it with memory_free. */
char *postgres_sql(const char *sql, const char *schema) __attribute__((malloc, returns_nonnull));

/* Sets *reterr to the reason why there is no outbox; returns false. `forbidden`: a schema that has outbox tables and
 * that the role may not use, or NULL. */
bool postgres_refuse_absent(const char *forbidden, struct error *reterr);

#endif
