#include "relay/mysql/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dsn.h"
#include "base/memory.h"
#include "relay/mysql/check_link.h"
#include "relay/mysql/check_private.h"
#include "relay/mysql/check_settings.h"
#include "relay/mysql/error.h"
#include "relay/mysql/foreground.h"
#include "relay/mysql/privileges.h"
#include "relay/mysql/schema.h"
#include "relay/mysql/source_private.h" /* struct my_watermark */
#include "relay/mysql/versions.h"

#include "mysql_check_account_sql.h"
#include "mysql_check_columns_sql.h"
#include "mysql_check_engines_sql.h"
#include "mysql_check_settings_sql.h"
#include "mysql_check_strangers_sql.h"
#include "mysql_extra_columns_sql.h"
#include "mysql_locks_seen_sql.h"

/* How often check_proxy asks for the session's id. */
#define PROXY_ASKS 5

struct inquiry {
    struct report *report;
    const struct source_config *source;
    struct my_session *session;
    MYSQL_RES *settings;
};

#define PROBLEM(self, format, ...) \
    report_problem((self)->report, "source \"%s\": " format, (self)->source->name, __VA_ARGS__)
#define ADVICE(self, format, ...) \
    report_advice((self)->report, "source \"%s\": " format, (self)->source->name, __VA_ARGS__)
#define OK(self, format, ...) \
    report_ok((self)->report, "source \"%s\": " format, (self)->source->name, __VA_ARGS__)

static const struct my_parameters none = {.count = 0};

/* ---- the server ----------------------------------------------------------------------------------------- */

/* From the dsn: the client library verifies the certificate as the dsn says, or does not connect. */
static const char *
certificate_words(const struct source_config *source)
{
    struct dsn dsn;
    const char *words = ", the certificate verified by nobody";
    if (!dsn_mysql_parse(source->dsn, &dsn, NULL)) {
        return words; /* cannot happen: the connection was made with it */
    }
    const char *const mode = dsn_value(&dsn, "sslmode");
    if (mode != NULL && strcmp(mode, "verify-full") == 0) {
        words = ", the certificate verified, and for this host";
    } else if (mode != NULL && strcmp(mode, "verify-ca") == 0) {
        words = ", the certificate verified, whatever its name";
    }
    dsn_done(&dsn);
    return words;
}

/* How this connection is protected. */
static void
tell_server(const struct inquiry *self, const MYSQL_ROW row)
{
    const char *const cipher = mysql_get_ssl_cipher(self->session->mysql);
    OK(self, "connected to database \"%s\" as \"%s\", %s %s, %s%s%s", row[0], row[1],
       self->session->is_mariadb ? "MariaDB" : "MySQL", mysql_get_server_info(self->session->mysql),
       cipher != NULL ? "TLS with " : "without TLS", cipher != NULL ? cipher : "",
       cipher != NULL ? certificate_words(self->source) : "");
}

/* A proxy gives its clients ids of its own. One that shares sessions among clients answers now from one session, now
 * from another, so it is asked several times. */
static void
check_proxy(struct inquiry *self)
{
    int64_t first = 0;
    for (int i = 0; i < PROXY_ASKS; i++) {
        int64_t id;
        if (!my_session_int(self->session, "select connection_id()", &none, 0, &id)) {
            PROBLEM(self, "it cannot be asked which session this is: %s",
                    self->session->error.text);
            return;
        }
        if (first != 0 && id != first) {
            struct error error;
            my_error_set_pooled(&error);
            PROBLEM(self, "%s", error.text);
            return;
        }
        first = id;
    }
    if ((unsigned long)first != mysql_thread_id(self->session->mysql)) {
        ADVICE(self, "%s",
               "a proxy stands before the server: it must give each connection of the relay a "
               "session of its own for as long as it lasts, without multiplexing and without "
               "splitting reads from writes");
    }
}

/* True if there is a database whose tables can be checked. */
static bool
check_server(struct inquiry *self)
{
    MYSQL_RES *rows;
    if (!my_session_ask(self->session, sql_check_account, &none, &rows)) {
        PROBLEM(self, "%s", self->session->error.text);
        return false;
    }
    const MYSQL_ROW row = mysql_fetch_row(rows);
    const bool named = row != NULL && row[0] != NULL;
    if (!named) {
        PROBLEM(self, "%s", "the dsn names no database: give dbname");
    } else if (my_source_check_server(self->session)) {
        tell_server(self, row);
        check_proxy(self);
    } else {
        PROBLEM(self, "%s", self->session->error.text);
    }
    mysql_free_result(rows);
    return named;
}

/* ---- the tables ----------------------------------------------------------------------------------------- */

/* True if the tables can be checked further. */
static bool
check_versions(struct inquiry *self)
{
    struct my_versions versions;
    if (!my_versions_look(self->session, &versions)) {
        PROBLEM(self, "the outbox tables cannot be looked at: %s", self->session->error.text);
    } else if (versions.foreign) {
        PROBLEM(self, "%s",
                "there is a table \"outbox\" or \"outbox_schema\" that `outbox-relay init` has not "
                "made: rename it, or give the relay a database of its own");
    } else if (!versions.there || versions.outbox == 0) {
        PROBLEM(self, "%s",
                "there are no outbox tables, or this account may not see them: run `outbox-relay "
                "init`");
    } else if (versions.outbox != MY_SCHEMA_VERSION) {
        PROBLEM(self,
                "the outbox tables have version %d, this relay needs version %d: use the relay "
                "that fits the tables",
                versions.outbox, MY_SCHEMA_VERSION);
    } else if (versions.relay == 0) {
        PROBLEM(self, "%s",
                "there are no tables for held messages: run `outbox-relay init`, which adds them "
                "while writers go on");
    } else if (versions.relay != MY_RELAY_SCHEMA_VERSION) {
        PROBLEM(self,
                "the tables for held messages have version %d, this relay needs version %d: use "
                "the relay that fits the tables",
                versions.relay, MY_RELAY_SCHEMA_VERSION);
    } else {
        OK(self, "the outbox tables have version %d, those for held messages version %d",
           versions.outbox, versions.relay);
        return true;
    }
    return false;
}

/* Some servers do not let an account create the trigger, and everything else works without it. */
static void
tell_lack(struct inquiry *self, const struct my_lack *lack)
{
    char words[120];
    my_lack_words(lack, words, sizeof(words));
    if (lack->line == NULL && lack->part->kind == MY_PART_TRIGGER) {
        ADVICE(self,
               "%s is %s, so bodies can be given as `payload` alone, and ids as 16 bytes: run "
               "`outbox-relay init` as an account that may make it",
               words, lack->state);
    } else {
        PROBLEM(self, "%s is %s: run `outbox-relay init` as the owner of the tables", words,
                lack->state);
    }
}

static void
check_schema(struct inquiry *self)
{
    struct my_lacks lacks;
    if (!my_schema_look(self->session, false, &lacks)) {
        PROBLEM(self, "limits, trigger and view cannot be looked at: %s",
                self->session->error.text);
        return;
    }
    for (size_t i = 0; i < lacks.count; i++) {
        tell_lack(self, &lacks.items[i]);
    }
    if (lacks.count == 0) {
        OK(self, "%s", "limits, trigger and view of the tables are all there");
    }
}

static void
check_columns(struct inquiry *self)
{
    MYSQL_RES *rows;
    MYSQL_ROW row;
    if (!my_session_ask(self->session, sql_check_columns, &none, &rows)) {
        PROBLEM(self, "the columns of the tables cannot be looked at: %s",
                self->session->error.text);
        return;
    }
    if (mysql_num_rows(rows) == 0) {
        OK(self, "%s", "the columns of the tables are as they were made");
    }
    while ((row = mysql_fetch_row(rows)) != NULL) {
        if (strcmp(row[0], "problem") == 0) {
            PROBLEM(self, "%s", row[1]);
        } else {
            ADVICE(self, "%s", row[1]);
        }
    }
    mysql_free_result(rows);
}

static void
check_added_columns(struct inquiry *self)
{
    MYSQL_RES *rows;
    MYSQL_ROW row;
    char names[1000] = "";
    size_t used = 0;
    if (!my_session_ask(self->session, sql_extra_columns, &none, &rows)) {
        PROBLEM(self, "the columns that others have added cannot be looked at: %s",
                self->session->error.text);
        return;
    }
    while ((row = mysql_fetch_row(rows)) != NULL && used < sizeof(names)) {
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s`%s`", used > 0 ? ", " : "",
                                 row[0]); /* cut is fine */
    }
    mysql_free_result(rows);
    if (used > 0) {
        OK(self,
           "what the outbox has in columns of your own (%s) goes along with messages that are set "
           "aside",
           names);
    }
}

static void
check_engines(struct inquiry *self)
{
    MYSQL_RES *rows;
    MYSQL_ROW row;
    if (!my_session_ask(self->session, sql_check_engines, &none, &rows)) {
        PROBLEM(self, "the engines of the tables cannot be looked at: %s",
                self->session->error.text);
        return;
    }
    while ((row = mysql_fetch_row(rows)) != NULL) {
        PROBLEM(self, "%s is kept by %s, which has no transactions: alter table %s engine = InnoDB",
                row[0], row[1], row[0]);
    }
    mysql_free_result(rows);
}

/* Triggers of others run in the statements of the relay, or of applications. */
static void
check_strangers(struct inquiry *self)
{
    MYSQL_RES *rows;
    MYSQL_ROW row;
    if (!my_session_ask(self->session, sql_check_strangers, &none, &rows)) {
        PROBLEM(self, "what others have put on the tables cannot be looked at: %s",
                self->session->error.text);
        return;
    }
    while ((row = mysql_fetch_row(rows)) != NULL) {
        ADVICE(self,
               "the trigger %s of somebody else runs %s on %s: where it fails, a message is not "
               "written, not deleted or not set aside",
               row[1], row[2], row[0]);
    }
    mysql_free_result(rows);
}

static void
check_privileges(struct inquiry *self)
{
    char grants[700];
    unsigned number;
    const bool good =
        my_privileges_missing(self->session->mysql, false, grants, sizeof(grants), &number);
    if (!good) {
        PROBLEM(self, "the privileges cannot be looked at: %s", mysql_error(self->session->mysql));
    } else if (grants[0] != '\0') {
        PROBLEM(self, "the relay's account lacks a privilege: %s", grants);
    } else {
        OK(self, "%s", "the account may do on the tables what a relay does");
    }
}

/* That the table is missing was told before. */
static void
check_sent(struct inquiry *self)
{
    char grants[200];
    unsigned number;
    if (self->source->keep_sent_us > 0 &&
        my_privileges_missing(self->session->mysql, true, grants, sizeof(grants), &number) &&
        grants[0] != '\0') {
        PROBLEM(self, "the relay's account lacks a privilege, to record what is sent: %s", grants);
    }
}

/* ---- late rows ------------------------------------------------------------------------------------------ */

/* What an administrator must do. */
static const char *
remedy(const struct inquiry *self)
{
    int64_t count;
    if (self->session->is_mariadb) {
        return "an administrator can run `install soname 'metadata_lock_info'`, which needs no "
               "restart";
    }
    if (!my_check_is_on(self->settings, "performance_schema")) {
        return "start the server with performance_schema = ON";
    }
    if (!my_session_int(self->session, sql_locks_seen, &none, 0, &count)) {
        return "grant select on performance_schema.* to this account";
    }
    return count == 0
               ? "an administrator can run `update performance_schema.setup_instruments set "
                 "enabled = 'YES' where name = 'wait/lock/metadata/sql/mdl'`, with the relay "
                 "stopped until all transactions of before have ended"
               : "its performance schema has lost sight of locks or threads: raise "
                 "performance_schema_max_metadata_locks and "
                 "performance_schema_max_thread_instances";
}

static void
tell_no_list(struct inquiry *self)
{
    void (*const tell)(struct report *, const char *, ...) =
        self->source->mode == SOURCE_MODE_TAIL ? report_problem : report_advice;
    tell(self->report,
         "source \"%s\": the server does not say who writes the outbox, so each look at it "
         "begins at its first row, which is slow while many deleted rows are not purged%s: %s",
         self->source->name,
         self->source->mode == SOURCE_MODE_POLL ? "" : ", and the binary log is not read",
         remedy(self));
}

static void
check_watermark(struct inquiry *self)
{
    struct my_watermark watermark = {.has_list = false};
    if (!my_watermark_look(self->session, &watermark)) {
        PROBLEM(self, "who writes the outbox cannot be looked at: %s", self->session->error.text);
    } else if (watermark.has_list) {
        OK(self, "%s", "the server says who writes the outbox, so late rows are found at once");
    } else {
        tell_no_list(self);
    }
    memory_free(watermark.writers);
}

static void
check_tables(struct inquiry *self)
{
    check_schema(self);
    check_columns(self);
    check_added_columns(self);
    check_engines(self);
    check_strangers(self);
    check_privileges(self);
    check_sent(self);
    check_watermark(self);
    check_mysql_tail(self->report, self->source);
}

static void
inquire(struct inquiry *self)
{
    if (!check_server(self)) {
        return;
    }
    if (!my_session_ask(self->session, sql_check_settings, &none, &self->settings)) {
        PROBLEM(self, "the settings of the server cannot be looked at: %s",
                self->session->error.text);
        return;
    }
    my_check_settings(self->report, self->source, self->settings);
    if (check_versions(self)) {
        check_tables(self);
        /* The last, as it leaves the session unusable. */
        my_check_link(self->report, self->source, self->session);
    }
    mysql_free_result(self->settings);
}

/* The client libraries say "TLS/SSL error: …" and "SSL connection error: …", base/mysql/connect.c says "no TLS". */
static bool
is_of_tls(const struct error *error)
{
    return strstr(error->text, "SSL") != NULL || strstr(error->text, "TLS") != NULL;
}

void
check_mysql(struct report *report, const struct source_config *source)
{
    struct error error;
    struct inquiry self = {.report = report, .source = source};
    self.session = my_foreground_open(source, false, &error);
    if (self.session == NULL) {
        PROBLEM(&self, "%s; %s", error.text,
                is_of_tls(&error)
                    ? "docs/TLS.md says what each word means"
                    : "see that the server runs, listens there and lets this user in");
        return;
    }
    inquire(&self);
    my_foreground_close(self.session);
}
