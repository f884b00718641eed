#include "relay/postgres/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "relay/postgres/foreground.h"

#include "admin_tables_sql.h"
#include "admin_version_sql.h"

#define ATTEMPTS_MAX 5

static bool
refuse(PGconn *connection, const PGresult *result, struct error *reterr)
{
    const char *const message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *const detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    if (message == NULL) {
        return error_set(reterr, ERROR_CONNECTION, "the connection was lost: %s",
                         PQerrorMessage(connection));
    }
    const char *const state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const bool text = state != NULL && (strcmp(state, "22021") == 0 || strcmp(state, "22P05") == 0);
    return error_set(reterr, text ? ERROR_MESSAGE : ERROR_CONFIG, "%s%s%s", message,
                     detail == NULL ? "" : ": ", detail == NULL ? "" : detail);
}

/* serialization_failure, deadlock_detected */
static bool
is_worth_another_try(PGconn *connection, const PGresult *result)
{
    const char *const state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state != NULL && PQtransactionStatus(connection) == PQTRANS_IDLE &&
           (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0);
}

struct admin_postgres *
admin_postgres_of(struct admin *admin)
{
    return (struct admin_postgres *)admin; /* `admin` is its first member */
}

PGresult *
admin_postgres_query(struct admin *admin, const char *sql, int count, const char *const *values,
                     struct error *reterr)
{
    PGconn *const connection = admin_postgres_of(admin)->connection;
    for (int attempt = 1;; attempt++) {
        PGresult *const result = postgres_ask(connection, sql, count, values);
        const ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
            return result;
        }
        const bool again = is_worth_another_try(connection, result);
        (void)refuse(connection, result, reterr); /* always false */
        PQclear(result);
        if (!again || attempt == ATTEMPTS_MAX) {
            return NULL;
        }
    }
}

PGresult *
admin_postgres_query_texts(struct admin *admin, const char *sql, int count,
                           const char *const *values, struct error *reterr)
{
    PGconn *const connection = admin_postgres_of(admin)->connection;
    const bool within = PQtransactionStatus(connection) == PQTRANS_INTRANS;
    struct error error;
    if (within && !postgres_run(connection, "savepoint texts", reterr)) {
        return NULL;
    }
    PGresult *const result = admin_postgres_query(admin, sql, count, values, reterr);
    if (within && result == NULL && reterr->class == ERROR_MESSAGE &&
        !postgres_run(connection, "rollback to savepoint texts", &error)) {
        *reterr = error;
    }
    return result;
}

const char *
admin_postgres_text(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) != 0 ? NULL : PQgetvalue(result, row, column);
}

int64_t
admin_postgres_int(const PGresult *result, int row, int column, int64_t absent)
{
    const char *const text = admin_postgres_text(result, row, column);
    return text == NULL ? absent : strtoll(text, NULL, 10);
}

bool
admin_postgres_bool(const PGresult *result, int row, int column)
{
    return strcmp(PQgetvalue(result, row, column), "t") == 0;
}

struct admin_counts
admin_postgres_counts(const PGresult *result, int column)
{
    return (struct admin_counts){
        .scheduled = (uint64_t)admin_postgres_int(result, 0, column, 0),
        .retrying = (uint64_t)admin_postgres_int(result, 0, column + 1, 0),
        .waiting = (uint64_t)admin_postgres_int(result, 0, column + 2, 0),
        .dead = (uint64_t)admin_postgres_int(result, 0, column + 3, 0),
    };
}

static void
clear(void *result)
{
    PQclear(result);
}

struct admin_rows
admin_postgres_own(PGresult *result)
{
    return (struct admin_rows){.owner = result, .free_owner = clear};
}

void
admin_postgres_name(const struct admin_name *name, const char *ret_values[2])
{
    ret_values[0] = name->is_uuid ? NULL : name->text;
    ret_values[1] = name->is_uuid ? name->uuid : NULL;
}

static bool
check_version(struct admin *admin, struct error *reterr)
{
    PGresult *const result = admin_postgres_query(admin, sql_admin_version, 0, NULL, reterr);
    if (result == NULL) {
        return false;
    }
    const int64_t version =
        /* 0: not made by `init`. */
        PQntuples(result) == 1 ? admin_postgres_int(result, 0, 0, 0) : 0;
    PQclear(result);
    return version == postgres_relay_schema_version ||
           error_set(reterr, ERROR_CONFIG,
                     "the relay's tables have version %d, this command needs version %d: %s",
                     (int)version, postgres_relay_schema_version,
                     version > postgres_relay_schema_version
                         ? "use the outbox-relay that fits the tables"
                         : "run `outbox-relay init`");
}

static bool
check_tables(struct admin *admin, struct error *reterr)
{
    PGresult *const result = admin_postgres_query(admin, sql_admin_tables, 0, NULL, reterr);
    if (result == NULL) {
        return false;
    }
    const bool outbox = admin_postgres_bool(result, 0, 0);
    const bool relay = admin_postgres_bool(result, 0, 1);
    PQclear(result);
    if (!outbox) {
        return postgres_refuse_tables(admin_postgres_of(admin)->connection, reterr);
    }
    if (!relay) {
        return error_set(reterr, ERROR_CONFIG,
                         "the tables for held messages and status are missing: run `outbox-relay "
                         "init`");
    }
    return check_version(admin, reterr);
}

/* A database in SQL_ASCII has bytes of any kind. The server would refuse a whole answer for one text that is not UTF-8;
 * so it is asked for the raw bytes, which api_text_clean and api_json_text make safe. */
static bool
take_any_bytes(PGconn *connection, struct error *reterr)
{
    const char *const encoding = PQparameterStatus(connection, "server_encoding");
    return encoding == NULL || strcmp(encoding, "SQL_ASCII") != 0 ||
           postgres_run(connection, "set client_encoding = 'SQL_ASCII'", reterr);
}

/* The operator must not wait forever for somebody's lock. The memory is for acts on a million messages: without a hash
 * table of their ids each would be compared with each. */
static bool
set_up(struct admin_postgres *self, const struct source_config *source, struct error *reterr)
{
    char publication[POSTGRES_NAME_BYTES]; /* not needed */
    return postgres_run(self->connection, "set lock_timeout = '10s'; set work_mem = '256MB'",
                        reterr) &&
           take_any_bytes(self->connection, reterr) && check_tables(&self->admin, reterr) &&
           postgres_tail_names(self->connection, source, self->slot, publication, reterr);
}

static void
close_admin(struct admin *admin)
{
    PQfinish(admin_postgres_of(admin)->connection); /* takes NULL */
    memory_free(admin);
}

static const struct admin_ops postgres_ops = {
    .close = close_admin,
    .status_get = admin_postgres_status_get,
    .held_list = admin_postgres_held_list,
    .held_count = admin_postgres_held_count,
    .held_reasons = admin_postgres_held_reasons,
    .held_find = admin_postgres_held_find,
    .held_place = admin_postgres_held_place,
    .held_heads_of = admin_postgres_held_heads_of,
    .held_retry = admin_postgres_held_retry,
    .held_discard = admin_postgres_held_discard,
    .log_behind = admin_postgres_log_behind,
    .held_acts = admin_postgres_held_acts,
    .explain = admin_postgres_explain,
};

struct admin *
admin_postgres_open(const struct source_config *source, struct error *reterr)
{
    struct admin_postgres *const self = memory_array(1, sizeof(*self));
    self->admin.ops = &postgres_ops;
    self->source = source;
    /* The name that source_connect.c gives its sessions; a long one is cut in the same way. */
    (void)snprintf(self->application_name, sizeof(self->application_name), "outbox-relay %s",
                   source->name);
    self->connection = postgres_connect(source, reterr);
    if (self->connection == NULL || !set_up(self, source, reterr)) {
        admin_close(&self->admin);
        return NULL;
    }
    return &self->admin;
}
