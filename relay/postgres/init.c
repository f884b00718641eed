#include <poll.h>
#include <stdio.h>

#include "base/memory.h"
#include "relay/postgres/foreground.h"
#include "relay/postgres/init.h"
#include "relay/postgres/init_private.h"
#include "relay/postgres/schema.h"
#include "relay/postgres/sql.h"

#include "publication_sql.h"
#include "roles_sql.h"
#include "schema_functions_sql.h"
#include "schema_relay_3_sql.h"
#include "schema_relay_sql.h"
#include "schema_sent_sql.h"
#include "schema_sql.h"
#include "schema_writing_sql.h"

/* The rights are in roles.sql. */
#define GRANTS                                                                                  \
    "if relay and applications have other roles than this one, give them ready ones: run what " \
    "`outbox-relay init --print-roles` prints (with --schema if it is not public), then grant " \
    "outbox_relay to the relay's role, and outbox_producer to the application's"

enum outcome {
    OUTCOME_CREATED,
    OUTCOME_MIGRATED, /* the outbox existed; the tables that only relays use were added */
    OUTCOME_EXTENDED, /* these existed too; they got new columns */
    /* All existed, but limits, triggers, functions or views were missing or altered. */
    OUTCOME_REPAIRED,
    OUTCOME_ALREADY_THERE,
};

/* Two inits at the same time must not both find no tables. The relay's advisory lock uses the outbox's oid, so 0 is
 * free (own.sql). Without lock_timeout a forgotten transaction elsewhere would make init wait forever. */
static const char lock_sql[] = "set local lock_timeout = '30s';"
                               "select pg_advisory_xact_lock(1869968482, 0)";

static bool
run_script(PGconn *connection, const char *sql, struct error *reterr)
{
    if (postgres_run(connection, sql, reterr)) {
        return true;
    }
    if (reterr->class == ERROR_TRANSIENT) {
        return error_prefix(reterr, "a transaction that is open keeps a table locked: nothing was "
                                    "changed, run it again when that has ended");
    }
    return error_prefix(reterr,
                        "cannot create the tables (run init as a role that may, or give the "
                        "output of `outbox-relay init --print` to somebody who may)");
}

static bool
run_scripts(PGconn *connection, const char *const *scripts, struct error *reterr)
{
    bool good = true;
    for (; good && *scripts != NULL; scripts++) {
        good = run_script(connection, *scripts, reterr);
    }
    return good;
}

static bool
refuse_version(int version, int known, struct error *reterr)
{
    return error_set(reterr, ERROR_CONFIG,
                     "the tables there have version %d, this relay makes version %d: nothing was "
                     "changed; use the relay that fits the tables",
                     version, known);
}

/* schema_relay_3.sql brings it to 3, and adds objects that have no version. */
#define EXTENSIBLE_VERSION 2

/* Changes of the outbox itself come last: from then on writers wait until the transaction ends. */
static const char *const scripts_beside[] = {sql_schema_relay, sql_schema_sent,
                                             sql_schema_functions, sql_schema_writing, NULL};
static const char *const scripts_more[] = {sql_schema_relay_3, sql_schema_sent,
                                           sql_schema_functions, sql_schema_writing, NULL};

/* The reason is in schema_relay_3.sql. */
static const char lock_tables_sql[] = "set local lock_timeout = '1500ms';"
                                      "lock table :\"schema\".outbox in access exclusive mode;"
                                      "set local lock_timeout = '100ms';"
                                      "lock table :\"schema\".outbox_held in access exclusive mode";

/* Changes of the tables wait only briefly for a lock, as the scripts do. */
static bool
repair(PGconn *connection, const PGresult *lacks, struct error *reterr)
{
    bool good = run_script(connection, sql_schema_sent, reterr) &&
                run_script(connection, sql_schema_functions, reterr);
    bool locked = false;
    for (int i = 0; good && i < PQntuples(lacks); i++) {
        if (postgres_schema_lack(lacks, i).before[0] != '\0' && !locked) {
            locked = true;
            good = run_script(connection, lock_tables_sql, reterr);
        }
    }
    for (int i = 0; good && i < PQntuples(lacks); i++) {
        const char *const before = postgres_schema_lack(lacks, i).before;
        good = before[0] == '\0' || run_script(connection, before, reterr);
    }
    return good && run_script(connection, sql_schema_writing, reterr);
}

/* *ret_lacks: what was restored; for PQclear. */
static bool
repair_if_needed(PGconn *connection, enum outcome *ret_outcome, PGresult **ret_lacks,
                 struct error *reterr)
{
    PGresult *const lacks = postgres_schema_look(connection, reterr);
    if (lacks == NULL) {
        return false;
    }
    *ret_outcome = PQntuples(lacks) == 0 ? OUTCOME_ALREADY_THERE : OUTCOME_REPAIRED;
    if (*ret_outcome == OUTCOME_REPAIRED && !repair(connection, lacks, reterr)) {
        PQclear(lacks);
        return false;
    }
    *ret_lacks = lacks;
    return true;
}

/* For an existing outbox. Writers, and a relay that works on it, go on meanwhile. */
static bool
migrate_if_needed(PGconn *connection, enum outcome *ret_outcome, PGresult **ret_lacks,
                  struct error *reterr)
{
    struct postgres_version tables;
    if (!postgres_relay_tables(connection, &tables, reterr)) {
        return false;
    }
    if (tables.version == 0) {
        *ret_outcome = OUTCOME_MIGRATED;
        return run_scripts(connection, scripts_beside, reterr);
    }
    if (tables.version == EXTENSIBLE_VERSION ||
        (tables.version == postgres_relay_schema_version &&
         tables.revision < postgres_relay_schema_revision)) {
        *ret_outcome = OUTCOME_EXTENDED;
        return run_scripts(connection, scripts_more, reterr);
    }
    return tables.version == postgres_relay_schema_version
               ? repair_if_needed(connection, ret_outcome, ret_lacks, reterr)
               : refuse_version(tables.version, postgres_relay_schema_version, reterr);
}

/* Runs inside the transaction. */
static bool
create_if_absent(PGconn *connection, enum outcome *ret_outcome, PGresult **ret_lacks,
                 struct error *reterr)
{
    enum postgres_tables tables;
    int version = 0;
    if (!postgres_run(connection, lock_sql, reterr) ||
        !postgres_tables(connection, &tables, &version, reterr)) {
        return false;
    }
    if (tables == POSTGRES_TABLES_FOREIGN) {
        return error_set(
            reterr, ERROR_CONFIG,
            "there is a table \"outbox\" or \"outbox_schema\" that init has not made: "
            "rename it, or give the relay a schema of its own by search_path in the dsn");
    }
    if (!postgres_schema_there(connection)) {
        return error_set(reterr, ERROR_CONFIG,
                         "no schema of the search_path is there for new tables: create it, or set "
                         "search_path in the dsn");
    }
    if (tables == POSTGRES_TABLES_ABSENT) {
        *ret_outcome = OUTCOME_CREATED;
        return run_script(connection, sql_schema, reterr) &&
               run_scripts(connection, scripts_beside, reterr);
    }
    return version == postgres_schema_version
               ? migrate_if_needed(connection, ret_outcome, ret_lacks, reterr)
               : refuse_version(version, postgres_schema_version, reterr);
}

/* Tries everything in one transaction. */
static bool
try_to(PGconn *connection, enum outcome *ret_outcome, PGresult **ret_lacks, struct error *reterr)
{
    struct error ignored; /* the first error counts */
    const bool good = postgres_run(connection, "begin", reterr) &&
                      create_if_absent(connection, ret_outcome, ret_lacks, reterr) &&
                      postgres_run(connection, "commit", reterr);
    if (!good) {
        PQclear(*ret_lacks);
        *ret_lacks = NULL;
    }
    if (!good && !postgres_run(connection, "rollback", &ignored)) {
        return false; /* the connection is gone, and with it the transaction */
    }
    return good;
}

/* While a try waits for a lock, writers wait behind it. So it waits only briefly, and lets them through before the next
 * try. */
#define TRIES 5
#define PAUSE_MS 500

/* *ret_lacks as in repair_if_needed; may be NULL. */
static bool
make_tables(const struct source_config *source, enum outcome *ret_outcome, PGresult **ret_lacks,
            struct error *reterr)
{
    PGconn *const connection = postgres_connect(source, reterr);
    if (connection == NULL) {
        return false;
    }
    bool good = try_to(connection, ret_outcome, ret_lacks, reterr);
    for (int tries = 1; !good && reterr->class == ERROR_TRANSIENT && tries < TRIES; tries++) {
        (void)poll(NULL, 0, PAUSE_MS); /* a pause */
        good = try_to(connection, ret_outcome, ret_lacks, reterr);
    }
    PQfinish(connection);
    return good;
}

static const char *
words_for(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_CREATED:
        return "tables created; " GRANTS;
    case OUTCOME_MIGRATED:
        return "migrated: the tables for held messages are there now, the outbox stays as it is; "
               "writers need nothing new; " GRANTS;
    case OUTCOME_EXTENDED:
        return "migrated: the tables have what is new now; writers and the relay that runs go on";
    case OUTCOME_REPAIRED:
        return "the tables were there already, and are now as they were made";
    case OUTCOME_ALREADY_THERE:
        break;
    }
    return "the tables are there already, nothing to do";
}

void
init_postgres(struct report *report, const struct source_config *source)
{
    struct error error;
    PGresult *lacks = NULL; /* PQntuples of NULL is 0 */
    enum outcome outcome = OUTCOME_ALREADY_THERE;
    if (!make_tables(source, &outcome, &lacks, &error)) {
        report_problem(report, "source \"%s\": %s", source->name, error.text);
        return;
    }
    for (int i = 0; i < PQntuples(lacks); i++) {
        const struct postgres_lack lack = postgres_schema_lack(lacks, i);
        report_ok(report, "source \"%s\": %s was %s, and is there again", source->name, lack.what,
                  lack.state);
    }
    PQclear(lacks);
    report_ok(report, "source \"%s\": %s", source->name, words_for(outcome));
    if (source->mode != SOURCE_MODE_POLL) {
        init_postgres_tail(report, source);
    }
}

static void
print_scripts(FILE *out, const char *schema, const char *const *scripts)
{
    for (; *scripts != NULL; scripts++) {
        char *const sql = postgres_sql(*scripts, schema);
        (void)fprintf(out, "%s\n", sql); /* the caller checks the stream */
        memory_free(sql);
    }
}

/* The whole output can be run where nothing exists yet: the parts after the first transaction then change nothing. */
void
init_postgres_print(FILE *out, const char *schema)
{
    print_scripts(
        out, schema,
        (const char *const[]){
            "begin;", sql_schema,
            "-- What only relays use. Where the outbox is there already (version 1 of the "
            "tables), run only what follows,\n-- in a transaction.",
            NULL});
    print_scripts(out, schema, scripts_beside);
    print_scripts(out, schema,
                  (const char *const[]){"commit;\n",
                                        "-- Where the relay's tables are there in version 2 or 3, "
                                        "run only what follows.",
                                        "begin;", NULL});
    print_scripts(out, schema, scripts_more);
    print_scripts(out, schema,
                  (const char *const[]){"commit;\n", "begin;", sql_publication, "commit;", NULL});
}

void
init_postgres_print_roles(FILE *out, const char *schema)
{
    print_scripts(out, schema, (const char *const[]){"begin;", sql_roles, "commit;", NULL});
}
