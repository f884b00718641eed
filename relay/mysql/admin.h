/* relay/mysql/admin.h - the operator's commands on MariaDB and MySQL, and the functions that admin*.c share. */
#ifndef RELAY_MYSQL_ADMIN_H
#define RELAY_MYSQL_ADMIN_H

#include "relay/mysql/foreground.h"
#include "relay/ports/admin_ops.h"

/* admin_open of struct database_kind. */
struct admin *my_admin_open(const struct source_config *source, struct error *reterr);

/* The admin must be one of this kind. The session belongs to it. */
struct my_session *my_admin_session(struct admin *admin);

/* my_session_ask; if it fails, its error is in *reterr. *ret_rows is for mysql_free_result. */
bool my_admin_ask(struct admin *admin, const char *sql, const struct my_parameters *parameters,
                  MYSQL_RES **ret_rows, struct error *reterr) MUST_CHECK;

/* Copies the session's error, of the last statement, to *reterr; returns false. */
bool my_admin_fail(struct admin *admin, struct error *reterr);

/* A value of a row as a number; `absent` if it is NULL. */
int64_t my_admin_int(const char *value, int64_t absent);

/* The rows now own the result: they free it. */
struct admin_rows my_admin_own(MYSQL_RES *rows);

/* Sets the parameters id and message_id; one of them is NULL. */
void my_admin_name(struct my_parameters *parameters, const struct admin_name *name);

/* Adds one message in this state to the counts. */
void my_admin_count(struct admin_counts *counts, const char *state);

/* Sets the parameters state, of_key, type, reason and older_us. */
void my_admin_filter(struct my_parameters *parameters, const struct admin_filter *filter);

/* Adds to the findings the transactions that may have written to the outbox and are still open (admin_writers.c). The
 * caller frees the findings, also if it fails. */
bool my_admin_find_writers(struct admin *admin, struct admin_findings *findings,
                           struct error *reterr) MUST_CHECK;

/* The functions of admin_ops. */
bool my_admin_status_get(struct admin *admin, struct admin_status *ret_status,
                         struct error *reterr);
bool my_admin_log_behind(struct admin *admin, log_position position, bool *ret_known,
                         uint64_t *ret_bytes, struct error *reterr);
bool my_admin_held_list(struct admin *admin, const struct admin_filter *filter, uint64_t limit,
                        bool whole, struct admin_messages *ret_messages, struct error *reterr);
bool my_admin_held_count(struct admin *admin, const struct admin_filter *filter,
                         struct admin_counts *ret_counts, struct admin_ids *ret_ids,
                         struct error *reterr);
bool my_admin_held_reasons(struct admin *admin, struct held_reasons *ret_reasons,
                           struct error *reterr);
bool my_admin_held_find(struct admin *admin, const struct admin_name *name,
                        struct admin_ids *ret_ids, struct error *reterr);
bool my_admin_held_place(struct admin *admin, const char *key, int64_t id,
                         struct admin_place *ret_place, struct error *reterr);
bool my_admin_held_heads_of(struct admin *admin, const struct admin_ids *ids,
                            struct admin_heads *ret_heads, struct error *reterr);
bool my_admin_held_retry(struct admin *admin, const struct admin_filter *filter, const char *who,
                         struct admin_done *ret_done, struct error *reterr);
bool my_admin_held_discard(struct admin *admin, const struct admin_filter *filter, const char *who,
                           struct admin_done *ret_done, struct error *reterr);
bool my_admin_held_acts(struct admin *admin, const struct admin_name *name,
                        struct admin_acts *ret_acts, struct error *reterr);
bool my_admin_explain(struct admin *admin, const struct admin_name *name,
                      struct admin_findings *ret_findings, struct error *reterr);

#endif
