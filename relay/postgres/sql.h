/* relay/postgres/sql.h - the statements of the .sql files, for the schema in which the outbox is.
 *
 * Sessions have only pg_catalog in their search_path (find.sql says why), so what is the outbox's is
 * named with its schema. The files write it as psql does for a variable: :"schema" where a name
 * stands, :'schema' where a text does. So they run in psql as they are, with -v schema=public. */
#ifndef RELAY_POSTGRES_SQL_H
#define RELAY_POSTGRES_SQL_H

#include <stdbool.h>

#include "base/error.h"

/* The statement with the schema put in, quoted; client_encoding must be UTF8. To be given to
 * memory_free. */
char *postgres_sql(const char *sql, const char *schema) __attribute__((malloc, returns_nonnull));

/* Sets *reterr for who finds no outbox; false. `forbidden`: a schema that has outbox tables and that
 * the role may not use, or NULL. */
bool postgres_refuse_absent(const char *forbidden, struct error *reterr);

#endif
