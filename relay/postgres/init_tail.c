#include <stdio.h>

#include "relay/postgres/foreground.h"
#include "relay/postgres/init.h"
#include "relay/postgres/tail.h"

#include "publication_sql.h"

/* publication.sql takes the name from there. Two inits at a time must not both find nothing, as in init.c. */
static const char name_sql[] = "select set_config('outbox.publication', $1, true),"
                               " set_config('lock_timeout', '30s', true),"
                               " pg_advisory_xact_lock(1869968482, 0)";

static bool
publish(PGconn *connection, const struct source_config *source, struct error *reterr)
{
    char slot[POSTGRES_NAME_BYTES]; /* not needed */
    char publication[POSTGRES_NAME_BYTES];
    const char *const values[] = {publication};
    if (!postgres_tail_names(connection, source, slot, publication, reterr) ||
        !postgres_run(connection, "begin", reterr)) {
        return false;
    }
    PGresult *const result = postgres_query_with(connection, name_sql, 1, values, reterr);
    PQclear(result);
    return result != NULL && postgres_run(connection, sql_publication, reterr) &&
           postgres_run(connection, "commit", reterr);
}

static void
look_at(struct postgres_tail *tail, void (*tell)(void *context, const char *words), void *context,
        struct init_log *ret_log)
{
    const bool known = tail->relay_role[0] != '\0';
    *ret_log = (struct init_log){.may_read = known ? tail->relay_may_read : tail->may_read};
    (void)snprintf(ret_log->relay_role, sizeof(ret_log->relay_role), "%s",
                   tail->relay_role); /* cut where all of it is quotes */
    tail->may_read = true;            /* is nothing that is lacking here */
    ret_log->lacks = postgres_tail_lacks(tail, tell, context);
}

bool
init_postgres_tail(const struct source_config *source,
                   void (*tell)(void *context, const char *words), void *context,
                   struct init_log *ret_log, struct error *reterr)
{
    struct postgres_tail tail;
    PGconn *const connection = postgres_connect(source, reterr);
    if (connection == NULL) {
        return false;
    }
    const bool good = (publish(connection, source, reterr) ||
                       error_prefix(reterr, "cannot create the publication")) &&
                      postgres_tail_look(connection, source, &tail, reterr);
    if (good) {
        look_at(&tail, tell, context, ret_log);
        postgres_tail_free(&tail);
    }
    PQfinish(connection); /* a transaction that is still open ends with it, undone */
    return good;
}
