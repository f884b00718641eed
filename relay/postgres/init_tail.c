#include <stdio.h>

#include "relay/postgres/foreground.h"
#include "relay/postgres/init_private.h"
#include "relay/postgres/tail.h"

#include "publication_sql.h"

#define ROLE_NEEDS                                                                                 \
    "alter role %s replication (Amazon RDS: grant rds_replication to %s; Google Cloud SQL: alter " \
    "user %s with replication)"

#define MAKES_SLOT                                                                         \
    "the relay makes its slot itself when it starts, for one that nobody reads keeps the " \
    "server's log"

/* publication.sql reads the name from this setting. Two inits at the same time must not both find no publication, as in
 * init.c. */
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

struct telling {
    struct report *report;
    const struct source_config *source;
};

static void
tell_lack(void *context, const char *words)
{
    const struct telling *const self = context;
    if (self->source->mode == SOURCE_MODE_TAIL) {
        report_problem(self->report, "source \"%s\": %s", self->source->name, words);
    } else {
        report_advice(self->report, "source \"%s\": %s", self->source->name, words);
    }
}

/* Says whether the relay's role lacks the right to read the log, and what happens next. */
static void
tell_reader(const struct telling *self, const char *relay_role, bool may_read, bool lacks)
{
    const char *const name = self->source->name;
    const bool known = relay_role[0] != '\0';
    const char *const role = known ? relay_role : "NAME";
    if (!may_read) {
        report_advice(self->report,
                      "source \"%s\": the relay's role may not read the log yet: " ROLE_NEEDS, name,
                      role, role, role);
    }
    if (lacks) {
        return;
    }
    if (!may_read) {
        report_ok(self->report, "source \"%s\": the log can be read then; " MAKES_SLOT, name);
    } else if (known) {
        report_ok(self->report, "source \"%s\": the log can be read by %s; " MAKES_SLOT, name,
                  role);
    } else {
        report_ok(self->report,
                  "source \"%s\": the log can be read; if the relay's role is another: " ROLE_NEEDS
                  "; " MAKES_SLOT,
                  name, role, role, role);
    }
}

/* It does not matter whether the role that runs init may read the log: it need not be the relay's. With mode "auto" a
 * lack is no failure: until it is repaired, the relay polls. */
static void
look_at(struct telling *self, struct postgres_tail *tail)
{
    const bool known = tail->relay_role[0] != '\0';
    const bool may_read = known ? tail->relay_may_read : tail->may_read;
    tail->may_read = true;
    const size_t lacks = postgres_tail_lacks(tail, tell_lack, self);
    tell_reader(self, tail->relay_role, may_read, lacks > 0);
    if (lacks > 0 && self->source->mode == SOURCE_MODE_AUTO) {
        report_ok(self->report, "source \"%s\": until then it polls the table", self->source->name);
    }
}

static bool
publish_and_look(struct telling *self, PGconn *connection, struct error *reterr)
{
    struct postgres_tail tail;
    if (!publish(connection, self->source, reterr)) {
        return error_prefix(reterr, "cannot create the publication");
    }
    if (!postgres_tail_look(connection, self->source, &tail, reterr)) {
        return false;
    }
    look_at(self, &tail);
    postgres_tail_free(&tail);
    return true;
}

void
init_postgres_tail(struct report *report, const struct source_config *source)
{
    struct telling self = {report, source};
    struct error error;
    PGconn *const connection = postgres_connect(source, &error);
    if (connection == NULL || !publish_and_look(&self, connection, &error)) {
        report_problem(report, "source \"%s\": %s", source->name, error.text);
    }
    PQfinish(connection); /* this rolls back a transaction that is still open */
}
