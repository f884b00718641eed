#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dsn.h"
#include "base/net/tls.h"
#include "relay/postgres/check.h"
#include "relay/postgres/check_private.h"
#include "relay/postgres/foreground.h"
#include "relay/postgres/schema.h"
#include "relay/postgres/source_private.h" /* pg_error_is_tls */

#include "check_sql.h"
#include "privileges_sql.h"
#include "strangers_sql.h"

/* The reason is in source_session.c. */
#define SERVER_VERSION_MIN 140001

enum column {
    COLUMN_DATABASE,
    COLUMN_ROLE,
    COLUMN_PID,
    COLUMN_STANDBY,
    COLUMN_SEQUENCE_CACHE,
    COLUMN_SEQUENCE,
    COLUMN_AUTOVACUUM,
    COLUMN_VACUUM_OFF,
    COLUMN_CREATE_REVOKE,
    COLUMN_ADDED,
    COLUMN_OUTBOX_NEEDS,
    COLUMN_HELD_NEEDS,
};

struct inquiry {
    struct report *report;
    const struct source_config *source;
    PGconn *connection;
    PGresult *facts;
};

#define PROBLEM(self, format, ...) \
    report_problem((self)->report, "source \"%s\": " format, (self)->source->name, __VA_ARGS__)
#define OK(self, format, ...) \
    report_ok((self)->report, "source \"%s\": " format, (self)->source->name, __VA_ARGS__)

static const char *
text_of(const struct inquiry *self, enum column column)
{
    return PQgetvalue(self->facts, 0, (int)column);
}

static bool
is_true(const struct inquiry *self, enum column column)
{
    return strcmp(text_of(self, column), "t") == 0;
}

/* A pool tells its clients other process ids than the server's. */
static bool
is_pooled(const struct inquiry *self)
{
    return strtol(text_of(self, COLUMN_PID), NULL, 10) != PQbackendPID(self->connection);
}

/* How this connection is protected. */
static void
describe_tls(const struct inquiry *self, char *ret_text, size_t size)
{
    struct dsn dsn = {0};
    struct tls_peer peer;
    if (PQsslInUse(self->connection) == 0 ||
        !tls_peer_of(PQsslStruct(self->connection, "OpenSSL"), &peer) ||
        !dsn_parse(self->source->dsn, &dsn, NULL)) {
        (void)snprintf(ret_text, size, "without TLS"); /* fits */
        return;
    }
    const char *const given = dsn_value(&dsn, "sslmode");
    const char *const mode = given != NULL ? given : getenv("PGSSLMODE");
    const bool named = mode != NULL && strcmp(mode, "verify-full") == 0;
    const bool rooted = dsn_value(&dsn, "sslrootcert") != NULL;
    const bool verified = named || (mode != NULL && (strcmp(mode, "verify-ca") == 0 ||
                                                     (strcmp(mode, "require") == 0 && rooted)));
    (void)snprintf(ret_text, size, "%s, the certificate of \"%s\"%s%s%s%s", peer.version,
                   peer.subject, verified ? " verified: signed by \"" : " verified by nobody",
                   verified ? peer.issuer : "", verified ? "\"" : "",
                   !verified ? ""
                   : named   ? ", and for this host"
                             : ", whatever its name"); /* cut is fine */
    if (named && !peer.named) {
        PROBLEM(self, "%s",
                "the server's certificate has no subjectAltName; libpq takes its common name "
                "instead, which others no longer do: have one made with it");
    }
    dsn_done(&dsn);
}

static void
check_server(struct inquiry *self)
{
    char tls[600];
    const int version = PQserverVersion(self->connection);
    describe_tls(self, tls, sizeof(tls));
    if (version < SERVER_VERSION_MIN) {
        PROBLEM(self, "the server is PostgreSQL %d.%d, but 14.1 or newer is needed: upgrade it",
                version / 10000, version % 10000);
    } else {
        OK(self, "connected to database \"%s\" as \"%s\", PostgreSQL %d.%d, %s",
           text_of(self, COLUMN_DATABASE), text_of(self, COLUMN_ROLE), version / 10000,
           version % 10000, tls);
    }
    if (is_true(self, COLUMN_STANDBY)) {
        PROBLEM(self, "%s",
                "the server is a standby, which takes no deletes: name the primary in the "
                "dsn, or all of them with target_session_attrs=read-write");
    }
    if (is_pooled(self)) {
        check_postgres_pool(self->report, self->source, self->connection);
    }
}

static void
check_lease(struct inquiry *self)
{
    struct error error;
    if (!postgres_run(self->connection, "select set_config('idle_session_timeout', '15s', false)",
                      &error)) {
        PROBLEM(self, "idle_session_timeout, the lease of the ownership, cannot be set: %s",
                error.text);
    }
}

/* True if the tables can be checked further. */
static bool
check_tables(struct inquiry *self)
{
    struct error error;
    enum postgres_tables tables;
    int version = 0;
    if (!postgres_tables(self->connection, &tables, &version, &error)) {
        PROBLEM(self, "the outbox tables cannot be looked at: %s", error.text);
        return false;
    }
    if (tables == POSTGRES_TABLES_ABSENT) {
        (void)postgres_refuse_tables(self->connection, &error); /* always false */
        PROBLEM(self, "%s", error.text);
        return false;
    }
    if (tables == POSTGRES_TABLES_FOREIGN) {
        PROBLEM(self, "%s",
                "there is a table \"outbox\" or \"outbox_schema\" that `outbox-relay init` "
                "has not made: rename it, or set search_path in the dsn");
        return false;
    }
    if (version != postgres_schema_version) {
        PROBLEM(self,
                "the outbox tables have version %d, this relay needs version %d: use the relay "
                "that fits the tables",
                version, postgres_schema_version);
        return true;
    }
    OK(self, "the outbox tables have version %d", version);
    return true;
}

/* The limits and triggers of the tables, and the functions and views for applications. */
static void
check_schema(struct inquiry *self)
{
    struct error error;
    PGresult *const lacks = postgres_schema_look(self->connection, &error);
    if (lacks == NULL) {
        PROBLEM(self, "limits, triggers and functions cannot be looked at: %s", error.text);
        return;
    }
    for (int i = 0; i < PQntuples(lacks); i++) {
        const struct postgres_lack lack = postgres_schema_lack(lacks, i);
        PROBLEM(self, "%s is %s: run `outbox-relay init` as the owner of the tables, which %s",
                lack.what, lack.state,
                strcmp(lack.state, "missing") == 0 ? "puts it back" : "makes it as it was");
    }
    if (PQntuples(lacks) == 0) {
        OK(self, "%s", "limits, triggers and functions of the tables are all there");
    }
    PQclear(lacks);
}

/* Objects that others have put on the tables, and changed columns. */
static void
check_strangers(struct inquiry *self)
{
    struct error error;
    PGresult *const found = postgres_query(self->connection, sql_strangers, &error);
    if (found == NULL) {
        PROBLEM(self, "what others have put on the tables cannot be looked at: %s", error.text);
        return;
    }
    for (int i = 0; i < PQntuples(found); i++) {
        if (strcmp(PQgetvalue(found, i, 0), "problem") == 0) {
            PROBLEM(self, "%s", PQgetvalue(found, i, 1));
        } else {
            report_advice(self->report, "source \"%s\": %s", self->source->name,
                          PQgetvalue(found, i, 1));
        }
    }
    if (PQntuples(found) == 0) {
        OK(self, "%s", "columns are as they were made, and nobody has put anything on the tables");
    }
    PQclear(found);
}

static void
check_relay_tables(struct inquiry *self)
{
    struct error error;
    struct postgres_version tables;
    if (!postgres_relay_tables(self->connection, &tables, &error)) {
        PROBLEM(self, "the tables for held messages cannot be looked at: %s", error.text);
    } else if (tables.version == 0) {
        PROBLEM(self, "%s",
                "there are no tables for held messages: run `outbox-relay init`, which adds them "
                "while writers and an older relay go on");
    } else if (tables.version != postgres_relay_schema_version) {
        PROBLEM(self,
                "the tables for held messages have version %d, this relay needs version %d: use "
                "the relay that fits the tables",
                tables.version, postgres_relay_schema_version);
    } else if (tables.revision < postgres_relay_schema_revision) {
        PROBLEM(self, "%s",
                "the tables are an older relay's: run `outbox-relay init`, which adds what is new "
                "while writers and that relay go on");
    } else {
        OK(self, "the tables for held messages have version %d", tables.version);
        check_schema(self);
        check_strangers(self);
    }
}

static void
check_privileges(struct inquiry *self)
{
    struct error error;
    size_t lacking = 0;
    PGresult *const result = postgres_query(self->connection, sql_privileges, &error);
    if (result == NULL) {
        PROBLEM(self, "the privileges cannot be looked at: %s", error.text);
        return;
    }
    for (int i = 0; i < PQntuples(result); i++) {
        if ((self->source->keep_sent_us > 0 || strcmp(PQgetvalue(result, i, 2), "t") != 0) &&
            (self->source->tableless || strcmp(PQgetvalue(result, i, 3), "t") != 0)) {
            PROBLEM(self, "the role lacks a privilege: grant %s on %s to \"%s\"",
                    PQgetvalue(result, i, 0), PQgetvalue(result, i, 1), text_of(self, COLUMN_ROLE));
            lacking++;
        }
    }
    PQclear(result);
    if (lacking == 0) {
        OK(self, "\"%s\" may do on the tables what a relay does", text_of(self, COLUMN_ROLE));
    }
}

static void
check_sequence(struct inquiry *self)
{
    const char *const cache = text_of(self, COLUMN_SEQUENCE_CACHE);
    if (strcmp(cache, "1") == 0) {
        OK(self, "%s", "ids are given out in the order of writing");
    } else if (cache[0] == '\0') {
        PROBLEM(self, "%s",
                "outbox.id has no sequence, so nothing says in which order rows were written: "
                "create the table by `outbox-relay init`");
    } else {
        PROBLEM(self,
                "sessions take %s ids at a time, so the order within a key gets lost: alter "
                "sequence %s cache 1",
                cache, text_of(self, COLUMN_SEQUENCE));
    }
}

static void
check_vacuum(struct inquiry *self)
{
    if (!is_true(self, COLUMN_AUTOVACUUM)) {
        PROBLEM(self, "%s",
                "autovacuum is off in the server, so the table only grows: set autovacuum and "
                "track_counts to on in postgresql.conf");
    } else if (is_true(self, COLUMN_VACUUM_OFF)) {
        PROBLEM(self, "%s",
                "autovacuum is off for the table, so it only grows: alter table outbox set "
                "(autovacuum_enabled = true, toast.autovacuum_enabled = true)");
    } else {
        OK(self, "%s", "autovacuum is on");
    }
}

/* The product qualifies all names in its SQL; an application, or its own trigger, may not. */
static void
check_creators(struct inquiry *self)
{
    const char *const revoke = text_of(self, COLUMN_CREATE_REVOKE);
    if (revoke[0] != '\0') {
        report_advice(self->report,
                      "source \"%s\": roles other than the owner may create objects in the schema "
                      "of the tables; such an object could be used instead of one that "
                      "applications mean by the same name: %s",
                      self->source->name, revoke);
    }
}

static void
check_added_columns(struct inquiry *self)
{
    const char *const added = text_of(self, COLUMN_ADDED);
    const char *const outbox_needs = text_of(self, COLUMN_OUTBOX_NEEDS);
    const char *const held_needs = text_of(self, COLUMN_HELD_NEEDS);
    if (added[0] != '\0') {
        OK(self,
           "what the outbox has in columns of your own (%s) goes along with messages that are "
           "set aside",
           added);
    }
    if (held_needs[0] != '\0') {
        PROBLEM(
            self,
            "no message can be set aside: none has a value for what outbox_held must have (%s): "
            "give these columns a default, or drop their NOT NULL",
            held_needs);
    }
    if (outbox_needs[0] != '\0' && self->source->tableless) {
        PROBLEM(self,
                "no message without a table can go to the outbox: none has a value for "
                "what the outbox must have (%s): give these columns a default, or drop their NOT "
                "NULL",
                outbox_needs);
    }
}

static void
inquire(struct inquiry *self)
{
    check_server(self);
    check_lease(self);
    if (check_tables(self)) {
        check_relay_tables(self);
        check_privileges(self);
        check_sequence(self);
        check_vacuum(self);
        check_creators(self);
        check_added_columns(self);
        check_postgres_tail(self->report, self->source, self->connection);
        check_postgres_link(self->report, self->source, self->connection); /* the last: see there */
    }
}

void
check_postgres(struct report *report, const struct source_config *source)
{
    struct error error;
    struct inquiry self = {.report = report, .source = source};
    self.connection = postgres_connect(source, &error);
    if (self.connection == NULL) {
        PROBLEM(&self, "%s; %s", error.text,
                pg_error_is_tls(error.text)
                    ? "docs/TLS.md says what each word means"
                    : "see that the server runs, listens there and lets this user in");
        return;
    }
    self.facts = postgres_query(self.connection, sql_check, &error);
    if (self.facts == NULL) {
        PROBLEM(&self, "cannot look at the database: %s", error.text);
    } else {
        inquire(&self);
    }
    PQclear(self.facts);
    PQfinish(self.connection);
}
