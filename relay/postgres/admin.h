/* relay/postgres/admin.h - the operator's commands on PostgreSQL, and the functions that admin*.c share. Results come
 * as text. */
#ifndef RELAY_POSTGRES_ADMIN_H
#define RELAY_POSTGRES_ADMIN_H

#include <libpq-fe.h>

#include "relay/config/config.h"
#include "relay/ports/admin_ops.h"
#include "relay/postgres/names.h"

/* The server cuts application names to this size, with the zero byte. */
#define APPLICATION_NAME_BYTES 64

struct admin_postgres {
    struct admin admin;
    const struct source_config *source;
    PGconn *connection;
    char application_name[APPLICATION_NAME_BYTES]; /* of the relays that work on this source */
    char slot[POSTGRES_NAME_BYTES];                /* the slot of its log */
};

/* admin_open of struct database_kind. */
struct admin *admin_postgres_open(const struct source_config *source, struct error *reterr);

/* The admin must be one of this kind. */
struct admin_postgres *admin_postgres_of(struct admin *admin);

/* Runs one statement with `count` parameters as text; NULL is NULL. Retries it after a deadlock, unless a transaction
 * is open. NULL with *reterr, which is ERROR_MESSAGE if a text is not valid UTF-8; else for PQclear. */
PGresult *admin_postgres_query(struct admin *admin, const char *sql, int count,
                               const char *const *values, struct error *reterr);

/* The same; but if a text is not valid UTF-8, an open transaction goes on. */
PGresult *admin_postgres_query_texts(struct admin *admin, const char *sql, int count,
                                     const char *const *values, struct error *reterr);

/* For NULL they give NULL and `absent`. */
const char *admin_postgres_text(const PGresult *result, int row, int column);
int64_t admin_postgres_int(const PGresult *result, int row, int column, int64_t absent);
bool admin_postgres_bool(const PGresult *result, int row, int column);

/* scheduled, retrying, waiting, dead in four columns. */
struct admin_counts admin_postgres_counts(const PGresult *result, int column);

/* The rows now own the result. */
struct admin_rows admin_postgres_own(PGresult *result);

/* Sets two parameters: the id of the row and the message id; one of them is NULL. */
void admin_postgres_name(const struct admin_name *name, const char *ret_values[2]);

/* The functions of admin_ops. */
bool admin_postgres_status_get(struct admin *admin, struct admin_status *ret_status,
                               struct error *reterr);
bool admin_postgres_log_behind(struct admin *admin, log_position position, bool *ret_known,
                               uint64_t *ret_bytes, struct error *reterr);
bool admin_postgres_held_list(struct admin *admin, const struct admin_filter *filter,
                              uint64_t limit, bool whole, struct admin_messages *ret_messages,
                              struct error *reterr);
bool admin_postgres_held_count(struct admin *admin, const struct admin_filter *filter,
                               struct admin_counts *ret_counts, struct admin_ids *ret_ids,
                               struct error *reterr);
bool admin_postgres_held_reasons(struct admin *admin, struct held_reasons *ret_reasons,
                                 struct error *reterr);
bool admin_postgres_held_find(struct admin *admin, const struct admin_name *name,
                              struct admin_ids *ret_ids, struct error *reterr);
bool admin_postgres_held_place(struct admin *admin, const char *key, int64_t id,
                               struct admin_place *ret_place, struct error *reterr);
bool admin_postgres_held_heads_of(struct admin *admin, const struct admin_ids *ids,
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
