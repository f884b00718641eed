/* relay/postgres/admin.h - what the parts of the operator's commands for PostgreSQL share
 * (admin*.c only). Results come as text. */
#ifndef RELAY_POSTGRES_ADMIN_H
#define RELAY_POSTGRES_ADMIN_H

#include <libpq-fe.h>

#include "relay/ports/admin.h"
#include "relay/postgres/names.h"

/* What the server keeps of a name, with its end. */
#define APPLICATION_NAME_BYTES 64

struct admin {
    PGconn *connection;
    char application_name[APPLICATION_NAME_BYTES]; /* of relays that work this source */
    char slot[POSTGRES_NAME_BYTES];                /* of its log */
};

/* One statement with `count` parameters as text; NULL is NULL. Tried again when it was the victim of
 * a deadlock, unless a transaction is open. NULL with *reterr, which is ERROR_MESSAGE where a text has no UTF-8; else for
 * PQclear. */
PGresult *admin_postgres_query(struct admin *admin, const char *sql, int count,
                               const char *const *values, struct error *reterr);

/* The same; a transaction that is open outlives it that a text has no UTF-8. */
PGresult *admin_postgres_query_texts(struct admin *admin, const char *sql, int count,
                                     const char *const *values, struct error *reterr);

/* NULL and `absent` for NULL. */
const char *admin_postgres_text(const PGresult *result, int row, int column);
int64_t admin_postgres_int(const PGresult *result, int row, int column, int64_t absent);
bool admin_postgres_bool(const PGresult *result, int row, int column);

/* scheduled, retrying, waiting, dead in four columns. */
struct admin_counts admin_postgres_counts(const PGresult *result, int column);

/* The result is the rows' now. */
struct admin_rows admin_postgres_own(PGresult *result);

/* Two parameters: the id of the row, the message id; one of them NULL. */
void admin_postgres_name(const struct admin_name *name, const char *ret_values[2]);

#endif
