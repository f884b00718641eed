/* relay/postgres/admin.h - the operator's commands for PostgreSQL, and what their parts share (admin*.c only). Results come
 * as text. */
#ifndef RELAY_POSTGRES_ADMIN_H
#define RELAY_POSTGRES_ADMIN_H

#include <libpq-fe.h>

#include "relay/config/config.h"
#include "relay/ports/admin_ops.h"
#include "relay/postgres/names.h"

/* What the server keeps of a name, with its end. */
#define APPLICATION_NAME_BYTES 64

struct admin_postgres {
    struct admin admin;
    const struct source_config *source;
    PGconn *connection;
    char application_name[APPLICATION_NAME_BYTES]; /* of relays that work this source */
    char slot[POSTGRES_NAME_BYTES];                /* of its log */
};

/* As admin_open of struct database_kind says it. */
struct admin *admin_postgres_open(const struct source_config *source, struct error *reterr);

/* Any of our admins. */
struct admin_postgres *admin_postgres_of(struct admin *admin);

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

/* What admin_ops says of each. */
bool admin_postgres_status_get(struct admin *admin, struct admin_status *ret_status,
                               struct error *reterr);
bool admin_postgres_held_list(struct admin *admin, const struct admin_filter *filter,
                              uint64_t limit, bool whole, struct admin_messages *ret_messages,
                              struct error *reterr);
bool admin_postgres_held_count(struct admin *admin, const struct admin_filter *filter,
                               struct admin_counts *ret_counts, char **ret_ids,
                               struct error *reterr);
bool admin_postgres_held_find(struct admin *admin, const struct admin_name *name,
                              uint64_t *ret_count, char **ret_ids, struct error *reterr);
bool admin_postgres_held_place(struct admin *admin, const char *key, int64_t id,
                               struct admin_place *ret_place, struct error *reterr);
bool admin_postgres_held_heads_of(struct admin *admin, const char *ids,
                                  struct admin_heads *ret_heads, struct error *reterr);
bool admin_postgres_held_retry(struct admin *admin, const struct admin_filter *filter,
                               const char *who, struct admin_done *ret_done, struct error *reterr);
bool admin_postgres_held_discard(struct admin *admin, const struct admin_filter *filter,
                                 const char *who, struct admin_done *ret_done,
                                 struct error *reterr);
bool admin_postgres_held_acts(struct admin *admin, const struct admin_name *name,
                              struct admin_acts *ret_acts, struct error *reterr);
bool admin_postgres_explain(struct admin *admin, const struct admin_name *name,
                            struct admin_findings *ret_findings, struct error *reterr);

#endif
