#include "relay/mysql/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "relay/mysql/foreground.h"
#include "relay/mysql/privileges.h"
#include "relay/mysql/schema.h"
#include "relay/mysql/source_private.h" /* struct my_watermark */
#include "relay/mysql/versions.h"

#include "mysql_check_account_sql.h"
#include "mysql_check_engines_sql.h"
#include "mysql_check_settings_sql.h"
#include "mysql_check_strangers_sql.h"

/* A statement with a message of the largest size that a server may be asked for: outbox_pg.h and outbox_mysql.h say what
 * applications may send; below it is the usual default of 16 MiB. */
#define PACKET_BYTES_MIN (16L << 20)

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

/* "" if the server has it not. */
static const char *
setting(const struct inquiry *self, const char *name)
{
    MYSQL_ROW row;
    mysql_data_seek(self->settings, 0);
    while ((row = mysql_fetch_row(self->settings)) != NULL) {
        if (strcmp(row[0], name) == 0) {
            return row[1] != NULL ? row[1] : "";
        }
    }
    return "";
}

static bool
is_on(const struct inquiry *self, const char *name)
{
    const char *const value = setting(self, name);
    return strcasecmp(value, "ON") == 0 || strcmp(value, "1") == 0;
}

/* What this connection is protected by. */
static void
tell_server(const struct inquiry *self, const MYSQL_ROW row)
{
    const char *const cipher = mysql_get_ssl_cipher(self->session->mysql);
    OK(self, "connected to database \"%s\" as \"%s\", %s %s, %s%s", row[0], row[1],
       self->session->is_mariadb ? "MariaDB" : "MySQL", mysql_get_server_info(self->session->mysql),
       cipher != NULL ? "TLS with " : "without TLS", cipher != NULL ? cipher : "");
}

/* True if there is a database to look at. */
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
    } else {
        PROBLEM(self, "%s", self->session->error.text);
    }
    mysql_free_result(rows);
    return named;
}

static void
check_read_only(struct inquiry *self)
{
    if (is_on(self, "read_only")) {
        PROBLEM(
            self, "%s",
            "the server is read-only, as replicas are, and a relay deletes what it has sent: name "
            "the server that takes writes in the dsn, or all of them");
    }
}

/* What may be lost by a crash of the server, although it was committed and sent. */
static void
check_durability(struct inquiry *self)
{
    const char *const flush = setting(self, "innodb_flush_log_at_trx_commit");
    if (strcmp(flush, "1") != 0) {
        ADVICE(self,
               "innodb_flush_log_at_trx_commit is %s: a crash of the server forgets what was "
               "committed last, also what was sent already; set global "
               "innodb_flush_log_at_trx_commit = 1",
               flush);
    }
    if (is_on(self, "log_bin") && strcmp(setting(self, "sync_binlog"), "1") != 0) {
        ADVICE(self,
               "sync_binlog is %s: after a crash of the server its replicas may lack what was "
               "committed, and sent; set global sync_binlog = 1",
               setting(self, "sync_binlog"));
    }
}

static void
check_writers_of_cluster(struct inquiry *self)
{
    if (is_on(self, "wsrep_on")) {
        ADVICE(self, "%s",
               "the server is a node of a Galera cluster: let applications and relay use the same "
               "node, for ids of several nodes say nothing about the order of their commits, and "
               "the ownership of the outbox is known to its own node alone");
    } else if (strcmp(setting(self, "auto_increment_increment"), "1") != 0) {
        ADVICE(self,
               "auto_increment_increment is %s, as where several servers take writes: ids of "
               "several servers say nothing about the order of their commits, so let all who use "
               "a key write to the same one",
               setting(self, "auto_increment_increment"));
    }
}

static void
check_packets(struct inquiry *self)
{
    const long bytes = strtol(setting(self, "max_allowed_packet"), NULL, 10);
    if (bytes < PACKET_BYTES_MIN) {
        ADVICE(self,
               "max_allowed_packet is %ld bytes: a message with more cannot be read, and is set "
               "aside; set global max_allowed_packet = %ld",
               bytes, PACKET_BYTES_MIN);
    }
}

/* ---- the tables ----------------------------------------------------------------------------------------- */

/* True if the tables are such that more can be said about them. */
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

/* The trigger is not to be had on every server, and all else works without it. */
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

/* What others have put on the tables runs in each statement of the relay, or of applications. */
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
    if (!my_privileges_missing(self->session->mysql, self->source->keep_sent_us > 0, grants,
                               sizeof(grants), &number)) {
        PROBLEM(self, "the privileges cannot be looked at: %s", mysql_error(self->session->mysql));
    } else if (grants[0] != '\0') {
        PROBLEM(self, "the relay's account lacks a privilege: %s", grants);
    } else {
        OK(self, "%s", "the account may do on the tables what a relay does");
    }
}

/* ---- late rows ------------------------------------------------------------------------------------------ */

static void
tell_no_list(struct inquiry *self)
{
    if (self->session->is_mariadb) {
        ADVICE(self, "%s",
               "the server does not say who writes the outbox, so each look at it begins at its "
               "first row, which is slow where much was deleted: an administrator can run `install "
               "soname 'metadata_lock_info'`, which needs no restart");
    } else {
        ADVICE(self, "%s",
               "this account may not see who writes the outbox, so each look at it begins at its "
               "first row, which is slow where much was deleted: grant select on "
               "performance_schema.* to it");
    }
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
    check_engines(self);
    check_strangers(self);
    check_privileges(self);
    check_watermark(self);
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
    check_read_only(self);
    check_durability(self);
    check_writers_of_cluster(self);
    check_packets(self);
    if (check_versions(self)) {
        check_tables(self);
    }
    mysql_free_result(self->settings);
}

void
check_mysql(struct report *report, const struct source_config *source)
{
    struct error error;
    struct inquiry self = {.report = report, .source = source};
    self.session = my_foreground_open(source, false, &error);
    if (self.session == NULL) {
        PROBLEM(&self, "%s; see that the server runs, listens there and lets this user in",
                error.text);
        return;
    }
    inquire(&self);
    my_foreground_close(self.session);
}
