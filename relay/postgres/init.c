#include <poll.h>
#include <stdio.h>

#include "base/memory.h"
#include "relay/postgres/foreground.h"
#include "relay/postgres/init.h"
#include "relay/postgres/init_private.h"
#include "relay/postgres/schema.h"
#include "relay/postgres/sql.h"

#include "publication_sql.h"
#include "schema_functions_sql.h"
#include "schema_relay_3_sql.h"
#include "schema_relay_sql.h"
#include "schema_sql.h"
#include "schema_writing_sql.h"

#define GRANTS                                                                                    \
    "if the relay's role is another, grant it: select, insert, update, delete on outbox; select " \
    "on its "                                                                                     \
    "sequence; select, insert, update, delete on outbox_held; select, update on "                 \
    "outbox_held_act; select, insert, update on outbox_relay; select, insert, delete on "         \
    "outbox_sent; and to the application's: insert on outbox; or, for INSERT with RETURNING, as " \
    "ORMs do, insert, select on outbox_new, which shows nobody's messages"

enum outcome {
    OUTCOME_CREATED,
    OUTCOME_MIGRATED, /* the outbox was there; the tables that only relays use were added */
    OUTCOME_EXTENDED, /* these were there as well; they got new columns */
    OUTCOME_REPAIRED, /* all were there, but limits, triggers, functions or views of them were not */
    OUTCOME_ALREADY_THERE,
};

/* Two inits at a time must not both find nothing. The relay owns an outbox by its oid, so 0 is free (own.sql). Without the
 * lock's timeout a forgotten transaction elsewhere would make us wait for ever. */
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

#define EXTENSIBLE_VERSION 2 /* schema_relay_3.sql makes 3 of it, and adds what has no version */

/* What is on the outbox itself comes last: from then on writers wait until all is done. */
static const char *const scripts_beside[] = {sql_schema_relay, sql_schema_functions,
                                             sql_schema_writing, NULL};
static const char *const scripts_more[] = {sql_schema_relay_3, sql_schema_functions,
                                           sql_schema_writing, NULL};

/* As schema_relay_3.sql says why. */
static const char lock_tables_sql[] = "set local lock_timeout = '1500ms';"
                                      "lock table :\"schema\".outbox in access exclusive mode;"
                                      "set local lock_timeout = '100ms';"
                                      "lock table :\"schema\".outbox_held in access exclusive mode";

/* What is on the tables waits for a lock only briefly, as the scripts do. */
static bool
repair(PGconn *connection, const PGresult *lacks, struct error *reterr)
{
    bool good = run_script(connection, sql_schema_functions, reterr);
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

/* *ret_lacks: what was put back; NULL: nothing had to be. For PQclear. */
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

/* Beside an outbox that is there. Who writes it, and a relay that works it, goes on meanwhile. */
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

/* Inside the transaction. */
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

/* In one transaction. */
static bool
try_to(PGconn *connection, enum outcome *ret_outcome, PGresult **ret_lacks, struct error *reterr)
{
    struct error ignored; /* the first counts */
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

/* Each try holds up those who write for as long as it waits for a lock, so it waits only briefly, and
 * lets them through in between. */
#define TRIES 5
#define PAUSE_MS 500

/* *ret_lacks as repair_if_needed has it. */
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
    PGresult *lacks = NULL; /* of NULL there are none */
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
        (void)fprintf(out, "%s\n", sql); /* the caller looks at the stream */
        memory_free(sql);
    }
}

/* All of it can be run where there is nothing yet: what comes after the first transaction then does nothing. */
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
