#include "relay/postgres/discover.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/dsn.h"
#include "base/memory.h"
#include "relay/config/dsn.h"
#include "relay/config/problem.h"
#include "relay/config/secret.h"
#include "relay/postgres/foreground.h"

/* Every server has this database, unless somebody has dropped it. */
#define DATABASE "postgres"

/* The server ends the query after 10 s. A server that does not even say so is given up a little later. */
#define BEGIN                                                                    \
    "begin read only; "                                                          \
    "select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true), " \
    "pg_catalog.set_config('statement_timeout', '10s', true), "                  \
    "pg_catalog.set_config('lock_timeout', '10s', true)"
#define PATIENCE_US (15 * CLOCK_S_US)

/* Without capitals a name in search_path means the same with and without quotes. */
bool
postgres_tenant_fits(const char *dsn, const char *tenant, struct error *reterr)
{
    struct dsn parsed;
    if (!dsn_parse(dsn, &parsed, reterr)) {
        return false;
    }
    const char *const options = dsn_value(&parsed, "options");
    const char *const at = options == NULL ? NULL : strstr(options, DATABASE_TENANT);
    const char *const path = options == NULL ? NULL : strstr(options, "search_path");
    const bool bare =
        at != NULL && path != NULL && path < at && memchr(path, '"', (size_t)(at - path)) == NULL;
    dsn_done(&parsed);
    return !bare || tenant[strcspn(tenant, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0' ||
           error_set(reterr, ERROR_CONFIG,
                     "it has capitals, which search_path takes for small letters unless the name "
                     "is in double quotes: options=-csearch_path=\\\"" DATABASE_TENANT "\\\"");
}

static bool
refuse(PGconn *connection, const PGresult *result, struct error *reterr)
{
    const char *const message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *const state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (message != NULL) {
        return error_set(reterr, ERROR_CONFIG, "the query of `discover` failed: %s (%s)", message,
                         state == NULL ? "" : state);
    }
    return error_set(reterr, ERROR_CONNECTION,
                     "the server did not answer the query of `discover`: %s",
                     PQstatus(connection) == CONNECTION_OK ? "nothing came for 15 s"
                                                           : PQerrorMessage(connection));
}

/* Statements are sent one at a time, and not waited for longer than until the deadline, whatever the server does. NULL
 * with *reterr; else for PQclear. */
static PGresult *
ask(PGconn *connection, const char *sql, bool several, uint64_t deadline_us, struct error *reterr)
{
    const int sent = several ? PQsendQuery(connection, sql)
                             : PQsendQueryParams(connection, sql, 0, NULL, NULL, NULL, NULL, 0);
    PGresult *last = NULL;
    for (bool more = sent != 0; more;) {
        PGresult *const next =
            postgres_await(connection, deadline_us) ? PQgetResult(connection) : NULL;
        more = next != NULL && PQresultStatus(next) != PGRES_COPY_IN &&
               PQresultStatus(next) != PGRES_COPY_OUT;
        if (next != NULL) {
            PQclear(last);
            last = next;
        }
    }
    const ExecStatusType status = PQresultStatus(last);
    if (PQisBusy(connection) == 0 && (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)) {
        return last;
    }
    (void)refuse(connection, last, reterr); /* always false */
    PQclear(last);
    return NULL;
}

static bool
run(PGconn *connection, const char *sql, bool several, uint64_t deadline_us, struct error *reterr)
{
    PGresult *const result = ask(connection, sql, several, deadline_us, reterr);
    PQclear(result);
    return result != NULL;
}

static bool
take(const PGresult *rows, size_t rows_max, struct database_names *ret_names, struct error *reterr)
{
    const int count = PQntuples(rows);
    if (PQnfields(rows) != 1) {
        return error_set(reterr, ERROR_CONFIG,
                         "the query of `discover` gives %d columns: one is expected, with the "
                         "names of the tenants",
                         PQnfields(rows));
    }
    if ((size_t)count > rows_max) {
        return error_set(reterr, ERROR_CONFIG,
                         "the query of `discover` gives more than %zu rows: so many tenants are "
                         "not believed",
                         rows_max);
    }
    for (int i = 0; i < count; i++) {
        const bool null = PQgetisnull(rows, i, 0) != 0;
        database_names_add(ret_names, null ? NULL : PQgetvalue(rows, i, 0),
                           (size_t)PQgetlength(rows, i, 0));
    }
    return true;
}

/* A cursor takes nothing but a query, and of that no more rows than are wanted. By the extended protocol nothing can
 * follow it. */
static bool
look(PGconn *connection, const char *query, size_t rows_max, struct database_names *ret_names,
     struct error *reterr)
{
    const uint64_t deadline_us = clock_monotonic_us() + PATIENCE_US;
    char fetch[64];
    (void)snprintf(fetch, sizeof(fetch), "fetch forward %zu from tenants", rows_max + 1); /* fits */
    char *const declare = config_format("declare tenants no scroll cursor for %s", query);
    PGresult *rows = NULL;
    if (run(connection, BEGIN, true, deadline_us, reterr) &&
        run(connection, declare, false, deadline_us, reterr)) {
        rows = ask(connection, fetch, false, deadline_us, reterr);
    }
    const bool good = rows != NULL && take(rows, rows_max, ret_names, reterr);
    PQclear(rows);
    memory_free(declare);
    return good;
}

bool
discover_postgres(const struct source_config *template, size_t rows_max,
                  struct database_names *ret_names, struct error *reterr)
{
    struct source_config place = *template;
    place.dsn = config_dsn_discover(template, dsn_parse, DATABASE, reterr);
    if (place.dsn == NULL) {
        return false;
    }
    PGconn *const connection = postgres_connect_only(&place, reterr);
    const bool good =
        connection != NULL && look(connection, template->discover, rows_max, ret_names, reterr);
    PQfinish(connection); /* takes NULL */
    config_secret_free(place.dsn);
    return good;
}
