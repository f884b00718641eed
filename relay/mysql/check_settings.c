#include "relay/mysql/check_settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Below the usual default of the servers, 16 MiB, ordinary messages may not fit into a statement. (The outbox takes
 * messages of up to 128 MiB, see outbox.h; for such ones the setting must be higher.) */
#define PACKET_BYTES_MIN (16L << 20)

struct inquiry {
    struct report *report;
    const char *name; /* of the source */
    MYSQL_RES *settings;
};

#define PROBLEM(self, format, ...) \
    report_problem((self)->report, "source \"%s\": " format, (self)->name, __VA_ARGS__)
#define ADVICE(self, format, ...) \
    report_advice((self)->report, "source \"%s\": " format, (self)->name, __VA_ARGS__)

/* "" if the server does not have this setting. */
static const char *
value_of(MYSQL_RES *settings, const char *name)
{
    MYSQL_ROW row;
    mysql_data_seek(settings, 0);
    while ((row = mysql_fetch_row(settings)) != NULL) {
        if (strcmp(row[0], name) == 0) {
            return row[1] != NULL ? row[1] : "";
        }
    }
    return "";
}

bool
my_check_is_on(MYSQL_RES *settings, const char *name)
{
    const char *const value = value_of(settings, name);
    return strcasecmp(value, "ON") == 0 || strcmp(value, "1") == 0;
}

static const char *
setting(const struct inquiry *self, const char *name)
{
    return value_of(self->settings, name);
}

static bool
is_on(const struct inquiry *self, const char *name)
{
    return my_check_is_on(self->settings, name);
}

static void
check_read_only(const struct inquiry *self)
{
    if (is_on(self, "read_only")) {
        PROBLEM(
            self, "%s",
            "the server is read-only, as replicas are, and a relay deletes what it has sent: name "
            "the server that takes writes in the dsn, or all of them");
    }
}

/* With binlog_format = STATEMENT, InnoDB refuses every change from a READ COMMITTED session. */
static void
check_statements(const struct inquiry *self)
{
    if (is_on(self, "log_bin") && strcasecmp(setting(self, "binlog_format"), "STATEMENT") == 0) {
        PROBLEM(self, "%s",
                "binlog_format is STATEMENT, with which a relay can change nothing, as its "
                "sessions are READ COMMITTED (error 1665): set global binlog_format = ROW");
    }
}

/* Settings with which a crash of the server can lose data that was committed and sent. */
static void
check_durability(const struct inquiry *self)
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

/* A server without the plugin for group replication does not have these settings. */
static bool
has_many_primaries(const struct inquiry *self)
{
    return setting(self, "group_replication_group_name")[0] != '\0' &&
           !is_on(self, "group_replication_single_primary_mode");
}

static void
check_writers_of_cluster(const struct inquiry *self)
{
    if (is_on(self, "wsrep_on") || has_many_primaries(self)) {
        ADVICE(self, "%s",
               "the server is one of a cluster in which each takes writes: let all relays of this "
               "outbox use the same one, for the ownership is known to its own server alone; and "
               "prefer mode = \"tail\", for ids of several servers say nothing about the order of "
               "their commits, so whoever polls reads the table from its first row each time");
    } else if (strcmp(setting(self, "auto_increment_increment"), "1") != 0) {
        ADVICE(self,
               "auto_increment_increment is %s, as where several servers take writes: ids of "
               "several servers say nothing about the order of their commits, so let all who use "
               "a key write to the same one",
               setting(self, "auto_increment_increment"));
    }
}

static void
check_packets(const struct inquiry *self)
{
    const long bytes = strtol(setting(self, "max_allowed_packet"), NULL, 10);
    if (bytes < PACKET_BYTES_MIN) {
        ADVICE(self,
               "max_allowed_packet is %ld bytes: a message with more cannot be read, and is set "
               "aside; set global max_allowed_packet = %ld",
               bytes, PACKET_BYTES_MIN);
    }
}

void
my_check_settings(struct report *report, const struct source_config *source, MYSQL_RES *settings)
{
    const struct inquiry self = {.report = report, .name = source->name, .settings = settings};
    check_read_only(&self);
    check_statements(&self);
    check_durability(&self);
    check_writers_of_cluster(&self);
    check_packets(&self);
}
