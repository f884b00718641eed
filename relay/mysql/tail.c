#include "relay/mysql/tail.h"

#include <stdio.h>
#include <string.h>

#include "relay/ports/report.h"

#include "mysql_tail_variables_sql.h"

/* ---- what there is -------------------------------------------------------------------------------------- */

enum variable {
    VARIABLE_LOG_BIN,
    VARIABLE_FORMAT,
    VARIABLE_IMAGE,
    VARIABLE_CHECKSUM,
    VARIABLE_CLUSTER,
    VARIABLE_PASSES_ON,
    VARIABLES,
};

static const struct {
    const char *name;
    enum variable variable;
} variables[] = {
    {"log_bin", VARIABLE_LOG_BIN},
    {"binlog_format", VARIABLE_FORMAT},
    {"binlog_row_image", VARIABLE_IMAGE},
    {"binlog_checksum", VARIABLE_CHECKSUM},
    {"wsrep_on", VARIABLE_CLUSTER},
    {"log_slave_updates", VARIABLE_PASSES_ON},
    {"log_replica_updates", VARIABLE_PASSES_ON},
};

static void
take_variable(const char *values[VARIABLES], const MYSQL_ROW row)
{
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        if (strcasecmp(row[0], variables[i].name) == 0 && row[1] != NULL) {
            values[variables[i].variable] = row[1];
        }
    }
}

static bool
is(const char *value, const char *expected)
{
    return strcasecmp(value, expected) == 0;
}

static void
take_variables(MYSQL_RES *rows, struct my_tail_facts *facts)
{
    MYSQL_ROW row;
    const char *values[VARIABLES] = {"", "", "", "", "", ""};
    while ((row = mysql_fetch_row(rows)) != NULL) {
        take_variable(values, row);
    }
    facts->has_log = is(values[VARIABLE_LOG_BIN], "ON");
    /* Cut is fine. */
    (void)snprintf(facts->format, sizeof(facts->format), "%s", values[VARIABLE_FORMAT]);
    (void)snprintf(facts->image, sizeof(facts->image), "%s", values[VARIABLE_IMAGE]);
    facts->has_checksums = is(values[VARIABLE_CHECKSUM], "CRC32");
    facts->lacks_others =
        is(values[VARIABLE_CLUSTER], "ON") && !is(values[VARIABLE_PASSES_ON], "ON");
}

bool
my_tail_look(struct my_session *session, const char *schema, struct my_tail_facts *ret_facts)
{
    static const struct my_parameters none = {.count = 0};
    MYSQL_RES *rows;
    *ret_facts = (struct my_tail_facts){.is_mariadb = session->is_mariadb};
    if (!my_session_ask(session, sql_tail_variables, &none, &rows)) {
        return false;
    }
    take_variables(rows, ret_facts);
    mysql_free_result(rows);
    return my_log_end_ask(session, schema, &ret_facts->end);
}

/* ---- what is lacking ------------------------------------------------------------------------------------ */

/* MySQL has deprecated binlog_format: a later version will know only ROW, and no setting. */
static void
tell_settings(struct lacks *lacks, const struct my_tail_facts *facts)
{
    if (facts->format[0] != '\0' && !is(facts->format, "ROW")) {
        report_lack(
            lacks,
            "binlog_format is %s, so the log may have statements instead of rows: set global "
            "binlog_format = 'ROW', also in the server's file, and let applications connect anew",
            facts->format);
    }
    /* With every other value the rows of inserts are complete. */
    if (is(facts->image, "MINIMAL") || is(facts->image, "NOBLOB")) {
        report_lack(
            lacks,
            "binlog_row_image is %s, so rows in the log are not whole: set global "
            "binlog_row_image = 'FULL', also in the server's file, and let applications connect "
            "anew",
            facts->image);
    }
    if (facts->lacks_others) {
        report_lack(
            lacks,
            "the server is a node of a Galera cluster, and its log lacks what other nodes write: "
            "start it with log_slave_updates");
    }
}

static void
tell_end(struct lacks *lacks, const struct my_tail_facts *facts, const char *schema)
{
    if (facts->end.is_refused) {
        report_lack(lacks, "the account may not ask where the log ends: grant %s on *.* to it",
                    facts->is_mariadb ? "binlog monitor" : "replication client");
    } else if (facts->end.position == 0) {
        report_lack(lacks, "the server's log is not one of numbered files: use mode = \"poll\"");
    } else if (facts->end.is_left_out) {
        report_lack(lacks,
                    "the server leaves database \"%s\" out of its log: mend its binlog_do_db or "
                    "binlog_ignore_db, or use mode = \"poll\"",
                    schema);
    }
}

size_t
my_tail_lacks(const struct my_tail_facts *facts, const char *schema,
              void (*tell)(void *context, const char *words), void *context)
{
    struct lacks lacks = {.tell = tell, .context = context};
    if (facts->has_log) {
        tell_settings(&lacks, facts);
        tell_end(&lacks, facts, schema);
    } else {
        report_lack(&lacks,
                    "the server keeps no binary log: start it with log_bin and server_id, or use "
                    "mode = \"poll\"");
    }
    return lacks.count;
}
