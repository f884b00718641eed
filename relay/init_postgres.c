#include "relay/init.h"
#include "relay/postgres_admin.h"

#include "schema_sql.h"

/* Two inits at a time must not both find nothing. The relay owns an outbox by its oid, so 0 is free (own.sql). Without the
 * lock's timeout a forgotten transaction elsewhere would make us wait for ever. */
static const char lock_sql[] = "set local lock_timeout = '30s';"
                               "select pg_advisory_xact_lock(1869968482, 0)";

static bool
create_tables(PGconn *connection, struct error *reterr)
{
    return postgres_run(connection, sql_schema, reterr) ||
           error_prefix(reterr,
                        "cannot create the tables (run init as a role that may, or give the "
                        "output of `outbox-relay init --print` to somebody who may)");
}

/* Inside the transaction. */
static bool
create_if_absent(PGconn *connection, enum init_outcome *ret_outcome, struct error *reterr)
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
    if (tables == POSTGRES_TABLES_THERE && version != postgres_schema_version) {
        return error_set(
            reterr, ERROR_CONFIG,
            "the tables there have version %d, this relay makes version %d: nothing was "
            "changed; use the relay that fits the tables",
            version, postgres_schema_version);
    }
    *ret_outcome = tables == POSTGRES_TABLES_THERE ? INIT_ALREADY_THERE : INIT_CREATED;
    return tables == POSTGRES_TABLES_THERE || create_tables(connection, reterr);
}

bool
init_postgres(const struct source_config *source, enum init_outcome *ret_outcome,
              struct error *reterr)
{
    PGconn *const connection = postgres_connect(source, reterr);
    if (connection == NULL) {
        return false;
    }
    enum init_outcome outcome = INIT_ALREADY_THERE;
    const bool good = postgres_run(connection, "begin", reterr) &&
                      create_if_absent(connection, &outcome, reterr) &&
                      postgres_run(connection, "commit", reterr);
    PQfinish(connection); /* a transaction that is still open ends with it, undone */
    if (good) {
        *ret_outcome = outcome;
    }
    return good;
}

void
init_postgres_print(FILE *out)
{
    (void)fprintf(out, "begin;\n%s\ncommit;\n", sql_schema); /* the caller looks at the stream */
}
