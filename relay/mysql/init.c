#include "relay/mysql/init.h"

#include <mysqld_error.h>
#include <string.h>

#include "relay/mysql/foreground.h"
#include "relay/mysql/init_private.h"
#include "relay/mysql/schema.h"
#include "relay/mysql/versions.h"

#include "mysql_init_lock_sql.h"
#include "mysql_roles_sql.h"

/* The rights are in roles.sql, but for those by which the relay sees which transactions write. */
#define GRANTS                                                                                    \
    "if relay and applications have other accounts than this one, give them ready roles: run "    \
    "what `outbox-relay init --print-roles --kind mysql` prints, then grant outbox_relay to the " \
    "relay's account, and outbox_producer to the application's, each as its default role%s"
#define LISTS_MYSQL "; and grant select on performance_schema.* to the relay's account"
#define LISTS_MARIADB "; and let an administrator run `install soname 'metadata_lock_info'`"

#define PRIVILEGE_FOR_CODE                                                                    \
    "the server has a binary log, with which this takes the privilege SUPER, or `set global " \
    "log_bin_trust_function_creators = 1` (on managed servers a parameter): run init again then"

/* While init waits for the lock of a table, writers wait behind it. So it waits only briefly. */
#define PATIENCE_SQL "set session lock_wait_timeout = 2"

enum outcome {
    OUTCOME_CREATED,
    OUTCOME_MIGRATED, /* the outbox existed; the tables that only relays use were added */
    OUTCOME_REPAIRED, /* all tables existed, but constraints, trigger or view were not complete */
    OUTCOME_ALREADY_THERE,
};

struct making {
    struct report *report;
    const struct source_config *source;
    struct my_session *session;
};

static const struct my_parameters none = {.count = 0};

static bool
tell_problem(const struct making *self)
{
    report_problem(self->report, "source \"%s\": %s", self->source->name,
                   self->session->error.text);
    return false;
}

/* ---- one thing ------------------------------------------------------------------------------------------ */

static bool
run(struct my_session *session, const char *sql)
{
    return my_session_run(session, sql, &none, NULL);
}

/* Runs both statements while the table is locked, and unlocks it also if one fails. */
static bool
run_locked(struct my_session *session, const char *drop, const char *create)
{
    if (!run(session, "lock tables outbox write")) {
        return false;
    }
    const bool good = run(session, drop) && run(session, create);
    const struct error error = session->error;
    const unsigned code = session->code;
    const bool unlocked = run(session, "unlock tables");
    if (!good) {
        session->error = error;
        session->code = code;
    }
    return good && unlocked;
}

/* The lock prevents writes while there is no trigger. */
static bool
put_trigger(struct my_session *session, const struct my_lack *lack)
{
    return strcmp(lack->state, "missing") == 0
               ? run(session, lack->part->sql)
               : run_locked(session, "drop trigger outbox_payload", lack->part->sql);
}

static bool
put_part(struct my_session *session, const struct my_lack *lack)
{
    const bool missing = strcmp(lack->state, "missing") == 0;
    switch (lack->part->kind) {
    case MY_PART_TABLE:
        break; /* exists or not: single lines are altered */
    case MY_PART_TRIGGER:
        return put_trigger(session, lack);
    case MY_PART_VIEW:
        return (missing || run(session, "drop view outbox_new")) && run(session, lack->part->sql);
    case MY_PART_PROCEDURE:
        return (missing || run(session, "drop procedure outbox_cancel")) &&
               run(session, lack->part->sql);
    }
    return run(session, lack->part->sql);
}

/* Replaces a constraint that is not enforced, or an index of other columns. */
static bool
put_line(struct my_session *session, const struct my_lack *lack)
{
    char sql[800];
    size_t name_size;
    const char *const name = my_lack_name(lack, &name_size);
    const char *const what = my_lack_is_index(lack) ? "index" : "constraint";
    const bool missing = strcmp(lack->state, "missing") == 0;
    const int dropped = missing ? 0
                                : snprintf(sql, sizeof(sql), "drop %s %.*s, ", what, (int)name_size,
                                           name); /* fits */
    char drop[200];
    (void)snprintf(drop, sizeof(drop), "%.*s", dropped, sql); /* fits */
    (void)snprintf(sql, sizeof(sql), "alter table %s %sadd %.*s", lack->part->name, drop,
                   (int)lack->line_size, lack->line); /* fits */
    return run(session, sql);
}

/* Each try of the session waits for the lock anew, so writers go on between two tries. */
static bool
put(struct my_session *session, const struct my_lack *lack)
{
    return lack->line != NULL ? put_line(session, lack) : put_part(session, lack);
}

/* ---- all that is lacking -------------------------------------------------------------------------------- */

static void
tell_unmade(const struct making *self, const struct my_lack *lack)
{
    char words[120];
    my_lack_words(lack, words, sizeof(words));
    if (self->session->code == ER_LOCK_WAIT_TIMEOUT) {
        report_problem(self->report,
                       "source \"%s\": a transaction that is open keeps a table locked, so %s "
                       "cannot be made: run init again when that has ended",
                       self->source->name, words);
    } else {
        report_problem(self->report,
                       "source \"%s\": cannot make %s (run init as an account that may, or give "
                       "the output of `outbox-relay init --print --kind mysql` to somebody who "
                       "may): %s",
                       self->source->name, words, self->session->error.text);
    }
}

/* Some servers forbid this to nearly every account, and everything else works without it. */
static bool
is_dispensable(const struct making *self, const struct my_lack *lack)
{
    return lack->part->kind == MY_PART_TRIGGER &&
           self->session->code == ER_BINLOG_CREATE_ROUTINE_NEED_SUPER;
}

static bool
make_one(const struct making *self, const struct my_lack *lack, bool tells)
{
    char words[120];
    my_lack_words(lack, words, sizeof(words));
    if (put(self->session, lack)) {
        if (tells) {
            report_ok(self->report, "source \"%s\": %s was %s, and is there again",
                      self->source->name, words, lack->state);
        }
        return true;
    }
    if (is_dispensable(self, lack)) {
        report_advice(self->report,
                      "source \"%s\": %s is not there, so bodies can be given as `payload` alone, "
                      "and ids as 16 bytes: " PRIVILEGE_FOR_CODE,
                      self->source->name, words);
        return true;
    }
    tell_unmade(self, lack);
    return false;
}

/* The versions come last, because with them relay and writers regard the tables as complete. */
static bool
make_all(const struct making *self, const struct my_lacks *lacks, enum outcome outcome)
{
    for (size_t i = 0; i < lacks->count; i++) {
        if (!make_one(self, &lacks->items[i], outcome == OUTCOME_REPAIRED)) {
            return false;
        }
    }
    return my_versions_put(self->session) || tell_problem(self);
}

/* ---- what there is -------------------------------------------------------------------------------------- */

static bool
lacks_table(const struct my_lacks *lacks, const char *name)
{
    for (size_t i = 0; i < lacks->count; i++) {
        if (lacks->items[i].line == NULL && strcmp(lacks->items[i].part->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static enum outcome
outcome_of(const struct my_lacks *lacks, const struct my_versions *versions)
{
    return lacks_table(lacks, "outbox") || versions->outbox == 0 ? OUTCOME_CREATED
           : versions->relay == 0                                ? OUTCOME_MIGRATED
           : lacks->count > 0                                    ? OUTCOME_REPAIRED
                                                                 : OUTCOME_ALREADY_THERE;
}

static bool
refuse(const struct making *self, int version, int known)
{
    report_problem(self->report,
                   "source \"%s\": the tables there have version %d, this relay makes version %d: "
                   "nothing was changed; use the relay that fits the tables",
                   self->source->name, version, known);
    return false;
}

static bool
check_versions(const struct making *self, const struct my_versions *versions)
{
    if (versions->foreign) {
        report_problem(self->report,
                       "source \"%s\": there is a table \"outbox\" or \"outbox_schema\" that init "
                       "has not made: rename it, or give the relay a database of its own",
                       self->source->name);
        return false;
    }
    if (versions->outbox > 0 && versions->outbox != MY_SCHEMA_VERSION) {
        return refuse(self, versions->outbox, MY_SCHEMA_VERSION);
    }
    return versions->relay == 0 || versions->relay == MY_RELAY_SCHEMA_VERSION ||
           refuse(self, versions->relay, MY_RELAY_SCHEMA_VERSION);
}

static void
tell(const struct making *self, enum outcome outcome)
{
    const char *const of_server = self->session->is_mariadb ? LISTS_MARIADB : LISTS_MYSQL;
    switch (outcome) {
    case OUTCOME_CREATED:
        report_ok(self->report, "source \"%s\": tables created; " GRANTS, self->source->name,
                  of_server);
        break;
    case OUTCOME_MIGRATED:
        report_ok(self->report,
                  "source \"%s\": migrated: the tables for held messages are there now, the outbox "
                  "stays as it is; writers need nothing new; " GRANTS,
                  self->source->name, of_server);
        break;
    case OUTCOME_REPAIRED:
        report_ok(self->report,
                  "source \"%s\": the tables were there already, and are now as they were made",
                  self->source->name);
        break;
    case OUTCOME_ALREADY_THERE:
        report_ok(self->report, "source \"%s\": the tables are there already, nothing to do",
                  self->source->name);
        break;
    }
}

static void
make(const struct making *self)
{
    struct my_versions versions;
    struct my_lacks lacks;
    int64_t alone = 0;
    if (!my_session_int(self->session, sql_init_lock, &none, 0, &alone) ||
        !run(self->session, PATIENCE_SQL) || !my_versions_look(self->session, &versions) ||
        !my_schema_look(self->session, true, &lacks)) {
        (void)tell_problem(self); /* always false */
        return;
    }
    if (alone == 0) {
        report_problem(self->report, "source \"%s\": another init is at work there: run it again",
                       self->source->name);
        return;
    }
    const enum outcome outcome = outcome_of(&lacks, &versions);
    if (check_versions(self, &versions) && make_all(self, &lacks, outcome)) {
        tell(self, outcome);
        init_mysql_tail(self->report, self->source, self->session);
    }
}

void
init_mysql(struct report *report, const struct source_config *source)
{
    struct error error;
    struct making self = {.report = report, .source = source};
    self.session = my_foreground_open(source, true, &error);
    if (self.session == NULL) {
        report_problem(report, "source \"%s\": %s", source->name, error.text);
        return;
    }
    make(&self);
    my_foreground_close(self.session);
}

static void
print_one(FILE *out, const char *sql)
{
    (void)fprintf(out, "%s//\n", sql); /* the caller checks the stream */
}

void
init_mysql_print(FILE *out, const char *schema)
{
    (void)schema; /* this kind has no schemas */
    (void)fputs("-- In the database of the outbox, as an account that stays.\ndelimiter //\n", out);
    for (const struct my_part *part = my_parts; part->name != NULL; part++) {
        if (strcmp(part->name, "outbox_held") == 0) {
            print_one(out, my_version_sql);
            (void)fputs("-- What only relays use, and outbox_cancel. Where the outbox is there "
                        "already, run only what follows,\n-- after `delimiter //`.\n",
                        out);
        }
        print_one(out, part->sql);
    }
    print_one(out, my_relay_version_sql);
    (void)fputs("delimiter ;\n", out);
}

void
init_mysql_print_roles(FILE *out, const char *schema)
{
    (void)schema;                /* this kind has no schemas */
    (void)fputs(sql_roles, out); /* the caller checks the stream */
}
