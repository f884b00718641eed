#include "relay/postgres/foreground.h"

#include <libpq-events.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/config/password.h"
#include "relay/config/secret.h"
#include "relay/postgres/source_private.h" /* PG_SCHEMA_VERSION */
#include "relay/postgres/sql.h"

#include "find_sql.h"
#include "search_path_sql.h"
#include "tail_names_sql.h"

const int postgres_schema_version = PG_SCHEMA_VERSION;
const int postgres_relay_schema_version = PG_RELAY_SCHEMA_VERSION;
const int postgres_relay_schema_revision = PG_RELAY_SCHEMA_REVISION;

/* libpq's messages about connections have several lines; they become one. */
static bool
refuse_connection(PGconn *connection, struct error *reterr)
{
    char text[sizeof(reterr->text)];
    size_t size = 0;
    for (const char *at = PQerrorMessage(connection); *at != '\0' && size < sizeof(text) - 2;
         at++) {
        if (*at != '\n' && *at != '\t') {
            text[size++] = *at;
        } else if (*at == '\n' && at[1] != '\0') {
            text[size++] = ';';
            text[size++] = ' ';
        }
    }
    text[size] = '\0';
    return error_set(reterr, pg_error_is_tls(text) ? ERROR_CONFIG : ERROR_CONNECTION,
                     "cannot connect: %s", text);
}

/* The server's message and detail, without the SQL that psql would show with it. */
static bool
refuse_statement(PGconn *connection, const PGresult *result, struct error *reterr)
{
    const char *const message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *const detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    if (message == NULL) {
        return error_set(reterr, ERROR_CONNECTION, "the connection was lost: %s",
                         PQerrorMessage(connection));
    }
    const char *const state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const bool locked = state != NULL && strcmp(state, "55P03") == 0; /* lock_not_available */
    return error_set(reterr, locked ? ERROR_TRANSIENT : ERROR_CONFIG, "%s%s%s", message,
                     detail == NULL ? "" : ": ", detail == NULL ? "" : detail);
}

static void
ignore_notice(void *context, const char *message)
{
    (void)context; /* none */
    (void)message; /* "relation exists, skipping" and the like */
}

static PGresult *
look_at_take(PGconn *connection, PGresult *result, struct error *reterr)
{
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        return result;
    }
    (void)refuse_statement(connection, result, reterr); /* always false */
    PQclear(result);
    return NULL;
}

/* The answer of find.sql, kept with the connection. */
struct place {
    char schema[POSTGRES_NAME_BYTES];
    char forbidden[POSTGRES_NAME_BYTES];
    bool there; /* the tables exist, or a schema for new ones does */
};

static int
free_place(PGEventId event, void *info, void *context)
{
    (void)context; /* none */
    if (event == PGEVT_CONNDESTROY) {
        memory_free(PQinstanceData(((PGEventConnDestroy *)info)->conn, free_place));
    }
    return 1;
}

static void
put_name(char name[POSTGRES_NAME_BYTES], const PGresult *result, int column)
{
    (void)snprintf(name, POSTGRES_NAME_BYTES, "%s", PQgetvalue(result, 0, column)); /* fits */
}

static bool
keep_place(PGconn *connection, const PGresult *found, struct error *reterr)
{
    struct place *const place = memory_array(1, sizeof(*place));
    put_name(place->schema, found, PQgetisnull(found, 0, 0) != 0 ? 1 : 0);
    put_name(place->forbidden, found, 2);
    place->there = place->schema[0] != '\0';
    if (!place->there) {
        memcpy(place->schema, "public", sizeof("public")); /* there is no schema: init refuses */
    }
    if (PQregisterEventProc(connection, free_place, "outbox-relay", NULL) == 0 ||
        PQsetInstanceData(connection, free_place, place) == 0) {
        memory_free(place);
        return error_set(reterr, ERROR_TRANSIENT, "out of memory");
    }
    return true;
}

static const struct place *
place_of(const PGconn *connection)
{
    return PQinstanceData(connection, free_place);
}

const char *
postgres_schema(const PGconn *connection)
{
    return place_of(connection)->schema;
}

bool
postgres_schema_there(const PGconn *connection)
{
    return place_of(connection)->there;
}

bool
postgres_refuse_tables(const PGconn *connection, struct error *reterr)
{
    const char *const forbidden = place_of(connection)->forbidden;
    return postgres_refuse_absent(forbidden[0] == '\0' ? NULL : forbidden, reterr);
}

static bool
find_place(PGconn *connection, struct error *reterr)
{
    PGresult *const result = look_at_take(connection, PQexec(connection, sql_find), reterr);
    const bool good = result != NULL && keep_place(connection, result, reterr);
    PQclear(result);
    return good;
}

PGconn *
postgres_connect_only(const struct source_config *source, struct error *reterr)
{
    /* Keywords after the dsn override it, those before it are defaults. */
    const char *const names[] = {
        "connect_timeout", "dbname", "client_encoding", "gssencmode", "application_name",
        "password",        NULL};
    char *password;
    if (!password_get(&source->password, &password, reterr)) {
        return NULL;
    }
    const char *const values[] = {"10",           source->dsn, "UTF8",
                                  "disable", /* as in a running relay */
                                  "outbox-relay", password,    NULL};
    const int expand_dbname = 1;
    PGconn *const connection = PQconnectdbParams(names, values, expand_dbname);
    config_secret_free(password);
    if (connection == NULL) {
        (void)error_set(reterr, ERROR_TRANSIENT, "out of memory");
        return NULL;
    }
    if (PQstatus(connection) != CONNECTION_OK) {
        (void)refuse_connection(connection, reterr); /* always false */
        PQfinish(connection);
        return NULL;
    }
    (void)PQsetNoticeProcessor(connection, ignore_notice, NULL); /* returns the earlier one */
    return connection;
}

PGconn *
postgres_connect(const struct source_config *source, struct error *reterr)
{
    PGconn *const connection = postgres_connect_only(source, reterr);
    if (connection == NULL) {
        return NULL;
    }
    if (!find_place(connection, reterr) || !postgres_run(connection, sql_search_path, reterr)) {
        PQfinish(connection);
        return NULL;
    }
    return connection;
}

PGresult *
postgres_query(PGconn *connection, const char *sql, struct error *reterr)
{
    char *const text = postgres_sql(sql, postgres_schema(connection));
    PGresult *const result = PQexec(connection, text);
    memory_free(text);
    return look_at_take(connection, result, reterr);
}

PGresult *
postgres_ask(PGconn *connection, const char *sql, int count, const char *const *values)
{
    char *const text = postgres_sql(sql, postgres_schema(connection));
    PGresult *const result = PQexecParams(connection, text, count, NULL, values, NULL, NULL, 0);
    memory_free(text);
    return result;
}

PGresult *
postgres_query_with(PGconn *connection, const char *sql, int count, const char *const *values,
                    struct error *reterr)
{
    return look_at_take(connection, postgres_ask(connection, sql, count, values), reterr);
}

bool
postgres_run(PGconn *connection, const char *sql, struct error *reterr)
{
    PGresult *const result = postgres_query(connection, sql, reterr);
    PQclear(result);
    return result != NULL;
}

bool
postgres_await(PGconn *connection, uint64_t deadline_us)
{
    bool good = true;
    while (good && PQisBusy(connection) != 0) {
        struct pollfd wait = {.fd = PQsocket(connection), .events = POLLIN};
        const uint64_t now_us = clock_monotonic_us();
        good = now_us < deadline_us;
        if (good && poll(&wait, 1, clock_poll_timeout_ms(now_us, deadline_us)) > 0) {
            good = PQconsumeInput(connection) != 0;
        }
    }
    return good;
}

/* A table of somebody else may have no column "version". */
bool
postgres_tables(PGconn *connection, enum postgres_tables *ret_tables, int *ret_version,
                struct error *reterr)
{
    PGresult *result = postgres_query(connection,
                                      "select to_regclass(format('%I.outbox', :'schema')),"
                                      " to_regclass(format('%I.outbox_schema', :'schema'))",
                                      reterr);
    if (result == NULL) {
        return false;
    }
    const bool outbox = PQgetisnull(result, 0, 0) == 0;
    const bool schema = PQgetisnull(result, 0, 1) == 0;
    PQclear(result);
    if (!schema) {
        *ret_tables = outbox ? POSTGRES_TABLES_FOREIGN : POSTGRES_TABLES_ABSENT;
        return true;
    }
    result = postgres_query(
        connection,
        "select to_jsonb(tables) ->> 'version' from :\"schema\".outbox_schema as tables", reterr);
    if (result == NULL) {
        return false;
    }
    const bool ours = outbox && PQntuples(result) == 1 && PQgetisnull(result, 0, 0) == 0;
    *ret_tables = ours ? POSTGRES_TABLES_THERE : POSTGRES_TABLES_FOREIGN;
    *ret_version = ours ? (int)strtol(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    return true;
}

static int
int_at(const PGresult *result, int column)
{
    return PQntuples(result) == 1 ? (int)strtol(PQgetvalue(result, 0, column), NULL, 10) : 0;
}

bool
postgres_relay_tables(PGconn *connection, struct postgres_version *ret_version,
                      struct error *reterr)
{
    PGresult *result = postgres_query(
        connection, "select to_regclass(format('%I.outbox_relay_schema', :'schema'))", reterr);
    const bool there = result != NULL && PQgetisnull(result, 0, 0) == 0;
    if (there) {
        PQclear(result);
        result = postgres_query(connection,
                                "select version, to_jsonb(tables) ->> 'revision'"
                                " from :\"schema\".outbox_relay_schema as tables",
                                reterr);
    }
    if (result == NULL) {
        return false;
    }
    *ret_version = there ? (struct postgres_version){int_at(result, 0), int_at(result, 1)}
                         : (struct postgres_version){0};
    PQclear(result);
    return true;
}

bool
postgres_tail_names(PGconn *connection, const struct source_config *source,
                    char ret_slot[POSTGRES_NAME_BYTES], char ret_publication[POSTGRES_NAME_BYTES],
                    struct error *reterr)
{
    PGresult *const result = postgres_query(connection, sql_tail_names, reterr);
    if (result == NULL) {
        return false;
    }
    const bool there = PQntuples(result) == 1;
    if (there) {
        const char *const schema = PQgetvalue(result, 0, 1);
        postgres_slot_name(source->slot, PQgetvalue(result, 0, 0), schema, ret_slot);
        postgres_publication_name(source->publication, schema, ret_publication);
    }
    PQclear(result);
    return there || error_set(reterr, ERROR_CONFIG, "there is no table \"outbox\"");
}
