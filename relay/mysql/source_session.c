#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/mysql/error.h"
#include "relay/mysql/privileges.h"
#include "relay/mysql/source_private.h"

#include "mysql_contract_sql.h"
#include "mysql_fit_sql.h"
#include "mysql_isolation_sql.h"
#include "mysql_mark_sql.h"
#include "mysql_others_write_sql.h"
#include "mysql_outbox_name_sql.h"
#include "mysql_own_before_sql.h"
#include "mysql_own_elsewhere_sql.h"
#include "mysql_own_sql.h"
#include "mysql_rival_sql.h"
#include "mysql_server_sql.h"
#include "mysql_session_sql.h"
#include "mysql_still_owned_sql.h"

#define STANDBY_INTERVAL_US (500 * CLOCK_MS_US)
/* How long the server keeps a request for the ownership that it cannot grant. It takes whole seconds. */
#define STANDBY_WAIT_S 1
/* After a session that lasted this long, a failure counts as the first one. A session that the same statement ends
 * again and again, such as a delete that a trigger refuses, must not publish everything again several times a
 * second. */
#define GOOD_US (10 * CLOCK_S_US)
/* MySQL: table constraints and expressions as defaults (8.0.16), and metadata_locks that name the tables of prepared
 * transactions (8.0.22). MariaDB: the oldest version that is tested. */
#define MYSQL_VERSION_MIN 80022
#define MARIADB_VERSION_MIN 101100

static const struct my_parameters none = {.count = 0};

/* ---- on the link's thread ------------------------------------------------------------------------------- */

static int64_t
seconds_of(uint64_t us)
{
    return (int64_t)((us + CLOCK_S_US - 1) / CLOCK_S_US);
}

/* The lease in whole seconds, rounded up, as the server's settings take no fractions. */
static int64_t
lease_s(const struct my_session *session)
{
    return seconds_of(session->config->takeover_us);
}

bool
my_source_check_server(struct my_session *session)
{
    const unsigned long version = mysql_get_server_version(session->mysql);
    const unsigned long least = session->is_mariadb ? MARIADB_VERSION_MIN : MYSQL_VERSION_MIN;
    return version >= least ||
           my_session_fail(
               session, ERROR_CONFIG,
               "the database server is %s: MariaDB 10.11, MySQL 8.0.22 or newer is needed",
               mysql_get_server_info(session->mysql));
}

bool
my_source_set_variables(struct my_session *session)
{
    const uint64_t statement_us = session->config->takeover_us * 3 / 4;
    struct my_parameters parameters = {.count = 0};
    my_parameters_int(&parameters, "lease_s", lease_s(session));
    my_parameters_int(&parameters, "lock_s", seconds_of(session->config->takeover_us / 8));
    my_parameters_double(&parameters, "statement_s", (double)statement_us / 1e6);
    my_parameters_int(&parameters, "statement_ms", (int64_t)(statement_us / CLOCK_MS_US));
    return my_session_run(session, sql_isolation, &none, NULL) &&
           my_session_run(session, sql_session, &parameters, NULL);
}

static bool
check_versions(struct my_session *session, const MYSQL_ROW row)
{
    const int64_t version = my_value_int(row[1]);
    const int64_t relay_version = my_value_int(row[2]);
    if (version != MY_SCHEMA_VERSION) {
        return my_session_fail(session, ERROR_CONFIG,
                               "the outbox tables have version %lld, this relay needs version %d: "
                               "use the relay that fits the tables",
                               (long long)version, MY_SCHEMA_VERSION);
    }
    if (relay_version != MY_RELAY_SCHEMA_VERSION) {
        return my_session_fail(session, ERROR_CONFIG,
                               "the relay's own tables have version %lld, this relay needs version "
                               "%d: %s",
                               (long long)relay_version, MY_RELAY_SCHEMA_VERSION,
                               relay_version < MY_RELAY_SCHEMA_VERSION
                                   ? "run `outbox-relay init`"
                                   : "use the relay that fits the tables");
    }
    return true;
}

static bool
check_contract(struct my_session *session)
{
    MYSQL_RES *rows;
    if (!my_session_ask(session, sql_contract, &none, &rows)) {
        return false;
    }
    const MYSQL_ROW row = mysql_fetch_row(rows);
    const bool named = row != NULL && row[0] != NULL;
    const bool good =
        named ? check_versions(session, row)
              : my_session_fail(session, ERROR_CONFIG, "the dsn names no database: give dbname");
    if (good) {
        my_lock_name(row[0], session->lock);
        my_mark_name(row[0], session->mark);
        my_fit_name(row[0], session->fit);
    }
    mysql_free_result(rows);
    return good;
}

static bool
show_relay(struct my_session *session)
{
    struct my_parameters parameters = {.count = 0};
    my_parameters_text(&parameters, "mark", session->mark);
    return my_session_run(session, sql_mark, &parameters, NULL);
}

static bool
check_privileges(struct my_session *session)
{
    char grants[350];
    unsigned number;
    if (!my_privileges_missing(session->mysql, false, grants, sizeof(grants), &number)) {
        return my_session_fail_by_mysql(session);
    }
    return grants[0] == '\0' ||
           my_session_fail(session, ERROR_CONFIG, "the relay's account lacks a privilege: %s",
                           grants);
}

static bool
ask_others(struct my_session *session, bool *ret_write)
{
    int64_t settings = 0;
    const bool good = my_session_int(session, sql_others_write, &none, 0, &settings);
    *ret_write = settings > 0;
    return good;
}

/* The text in a column of the first row; "" if there is no row. */
static bool
ask_text(struct my_session *session, const char *sql, const struct my_parameters *parameters,
         unsigned column, char *ret_text, size_t size)
{
    MYSQL_RES *rows;
    if (!my_session_ask(session, sql, parameters, &rows)) {
        return false;
    }
    const MYSQL_ROW row = mysql_fetch_row(rows);
    const char *const value = row != NULL ? row[column] : NULL;
    (void)snprintf(ret_text, size, "%s", value != NULL ? value : ""); /* fits */
    mysql_free_result(rows);
    return true;
}

static bool
ask_for_name(struct my_session *session, char ret_outbox[SOURCE_OUTBOX_BYTES])
{
    char server[80];
    struct my_parameters parameters = {.count = 0};
    ret_outbox[0] = '\0';
    if (!ask_text(session, sql_server, &none, 1, server, sizeof(server))) {
        return false;
    }
    if (server[0] == '\0') {
        return true; /* it has no name */
    }
    my_parameters_text(&parameters, "server", server);
    return ask_text(session, sql_outbox_name, &parameters, 0, ret_outbox, SOURCE_OUTBOX_BYTES);
}

static bool
setup_run(struct my_session *session, struct my_job *job)
{
    struct my_setup *setup = (struct my_setup *)job;
    setup->is_mariadb = session->is_mariadb;
    const bool good = my_source_check_server(session) && my_source_set_variables(session) &&
                      check_contract(session) && check_privileges(session) &&
                      my_sent_learn(session) && show_relay(session) &&
                      ask_others(session, &setup->others_write) &&
                      ask_for_name(session, setup->outbox);
    setup->unrecorded = my_sent_take_trouble(session);
    return good;
}

static bool
ask_for_lock(struct my_session *session, struct my_own *own)
{
    MYSQL_RES *rows;
    struct my_parameters parameters = {.count = 0};
    my_parameters_text(&parameters, "lock_name", session->lock);
    my_parameters_int(&parameters, "wait_s", own->waits ? STANDBY_WAIT_S : 0);
    if (!my_session_ask(session, sql_own, &parameters, &rows)) {
        return false;
    }
    const MYSQL_ROW row = mysql_fetch_row(rows);
    own->owned = row != NULL && my_value_bool(row[0]);
    own->now_us = row != NULL ? my_value_int(row[1]) : 0;
    mysql_free_result(rows);
    return true;
}

bool
my_source_still_owns(struct my_session *session)
{
    int64_t owned = 0;
    struct my_parameters parameters = {.count = 0};
    my_parameters_text(&parameters, "lock_name", session->lock);
    my_parameters_int(&parameters, "lease_s", lease_s(session));
    if (!my_session_int(session, sql_still_owned, &parameters, 0, &owned)) {
        return false;
    }
    return owned != 0 || my_session_fail_pooled(session);
}

static bool
ask_elsewhere(struct my_session *session, bool *ret_owned)
{
    int64_t rows = 0;
    struct my_parameters parameters = {.count = 0};
    my_parameters_int(&parameters, "lease_s", lease_s(session));
    const bool good = my_session_int(session, sql_own_elsewhere, &parameters, 0, &rows);
    *ret_owned = rows > 0;
    return good;
}

/* Says whether this relay is fit for the ownership, and learns whether another one that waits is. */
static bool
tell_fit(struct my_session *session, bool fit, bool *ret_rival)
{
    int64_t rival = 0;
    struct my_parameters parameters = {.count = 0};
    my_parameters_text(&parameters, "fit_name", session->fit);
    my_parameters_int(&parameters, "fit", fit);
    const bool good = my_session_int(session, sql_fit, &parameters, 0, &rival);
    *ret_rival = rival != 0;
    return good;
}

/* It is left to another relay, which works the outbox through another server, or reaches its broker. */
static bool
is_left(struct my_session *session, const struct my_own *own, bool *ret_left)
{
    bool elsewhere = false;
    bool rival = false;
    const bool good =
        (!own->yields || ask_elsewhere(session, &elsewhere)) && tell_fit(session, own->fit, &rival);
    *ret_left = elsewhere || (rival && !own->fit);
    return good;
}

static bool
own_run(struct my_session *session, struct my_job *job)
{
    struct my_own *own = (struct my_own *)job;
    bool left;
    own->owned = false;
    if (!is_left(session, own, &left)) {
        return false;
    }
    if (left) {
        return true;
    }
    struct my_parameters parameters = {.count = 0};
    int64_t shared = 0;
    my_parameters_text(&parameters, "lock_name", session->lock);
    if (!my_session_int(session, sql_own_before, &parameters, 0, &shared)) {
        return false;
    }
    if (shared != 0) {
        return my_session_fail_pooled(session);
    }
    return ask_for_lock(session, own) &&
           (!own->owned || (my_source_still_owns(session) && tell_fit(session, false, &left)));
}

static bool
rival_run(struct my_session *session, struct my_job *job)
{
    struct my_rival *rival = (struct my_rival *)job;
    int64_t there = 0;
    struct my_parameters parameters = {.count = 0};
    my_parameters_text(&parameters, "fit_name", session->fit);
    const bool good = my_session_int(session, sql_rival, &parameters, 0, &there);
    rival->there = there != 0;
    return good;
}

/* Only the fact that an answer comes matters. */
static bool
ping_run(struct my_session *session, struct my_job *job)
{
    (void)job;
    return my_session_run(session, "do 0", &none, NULL);
}

/* ---- on the pipeline's ---------------------------------------------------------------------------------- */

static void
ping_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    self->ping_out = false;
    if (!job->ok) {
        my_source_lost(self, &job->error, now_us);
    }
}

void
my_source_ping(struct source_mysql *self, uint64_t now_us)
{
    self->ping =
        (struct my_job){.run = ping_run, .done = ping_done, .words = "whether it is there"};
    self->ping_out = true;
    my_ask(self, &self->ping, now_us);
}

static void
rival_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    if (job->ok) {
        my_event_push(self, SOURCE_RIVAL)->rival = self->rival.there;
    } else {
        my_source_lost(self, &job->error, now_us);
    }
}

void
my_source_rival(struct source_mysql *self, uint64_t now_us)
{
    self->rival.job =
        (struct my_job){.run = rival_run, .done = rival_done, .words = "for another relay"};
    my_ask(self, &self->rival.job, now_us);
}

static void
own_the_outbox(struct source_mysql *self, uint64_t now_us)
{
    self->state = MY_OWNED;
    self->yields = false;
    self->lease_until_us = my_link_answered_us(self->link) + self->config->takeover_us;
    self->owned_since_us = self->own.now_us;
    self->started_at_us = self->owned_since_us - (int64_t)(now_us - self->created_us);
    my_held_owned(self);
    my_watermark_ask(self, now_us); /* its answer becomes SOURCE_OWNED */
}

static void
stand_by(struct source_mysql *self)
{
    const uint64_t quarter = self->config->takeover_us / 4;
    const uint64_t interval = quarter < STANDBY_INTERVAL_US ? quarter : STANDBY_INTERVAL_US;
    self->state = MY_STANDBY;
    /* At once, where the server has kept the last request for longer than that. */
    self->retry_us =
        self->own.job.sent_us + random_between(&self->random, interval * 3 / 4, interval * 5 / 4);
    if (!self->standby_told) {
        self->standby_told = true;
        self->retry_us =
            self->own.job.sent_us; /* at once: the first request did not wait in the server */
        my_event_push(self, SOURCE_STANDBY);
    }
}

static void
own_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    if (!job->ok) {
        my_source_lost(self, &job->error, now_us);
        return;
    }
    backoff_reset(&self->backoff_config);
    if (self->state == MY_SETTING_UP) {
        self->began_us = now_us;
    }
    if (self->own.owned) {
        own_the_outbox(self, now_us);
    } else {
        stand_by(self);
    }
}

void
my_source_own(struct source_mysql *self, uint64_t now_us)
{
    self->own.job = (struct my_job){.run = own_run, .done = own_done, .words = "for the ownership"};
    self->own.yields = self->yields;
    self->own.fit = self->fit;
    /* While a request waits in the server, a fit relay could come that this one would have to leave the outbox to. */
    self->own.waits = self->standby_told && self->fit;
    self->retry_us = CLOCK_NEVER_US; /* set by the answer */
    my_ask(self, &self->own.job, now_us);
}

static void
setup_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    if (job->ok) {
        self->is_mariadb = self->setup.is_mariadb;
        self->others_write = self->setup.others_write;
        self->unrecorded_told = self->unrecorded_told && self->setup.unrecorded.text[0] != '\0';
        my_settle_unrecorded(self, &self->setup.unrecorded);
        my_source_own(self, now_us);
    } else {
        my_source_lost(self, &job->error, now_us);
    }
}

static void
connected(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    (void)job; /* a broken one does not come here */
    self->state = MY_SETTING_UP;
    self->setup.job =
        (struct my_job){.run = setup_run, .done = setup_done, .words = "to set up the session"};
    my_ask(self, &self->setup.job, now_us);
}

void
my_source_connect(struct source_mysql *self, uint64_t now_us)
{
    struct error error;
    self->state = MY_CONNECTING;
    self->asked_us = now_us;
    self->link = my_link_start(self->config, -1, connected, &error);
    if (self->link == NULL) {
        my_source_lost(self, &error, now_us);
    }
}

/* What is lost with the session; the caller says why, and when to connect again. */
static void
end(struct source_mysql *self, const struct error *error, bool announced, uint64_t now_us)
{
    my_link_stop(self->link, 0);
    self->link = NULL;
    my_tail_stop(self);
    my_held_lost(self);
    self->state = MY_DOWN;
    self->standby_told = false;
    self->owned_told = false;
    self->lease_until_us = 0;
    self->heard_us = 0;
    self->ping_out = false;
    self->status.out = false;
    self->status.written = false;
    my_fetch_lost(self, error, announced, now_us);
    my_settle_lost(self);
    my_watermark_lost(self);
}

static void
lose(struct source_mysql *self, const struct error *error, bool announced, uint64_t now_us)
{
    struct backoff *backoff = error->class == ERROR_CONFIG ? &self->backoff_config : &self->backoff;
    if (now_us - self->began_us >= GOOD_US &&
        (self->state == MY_OWNED || self->state == MY_STANDBY)) {
        backoff_reset(&self->backoff);
    }
    end(self, error, announced, now_us);
    self->retry_us = now_us + backoff_next_us(backoff, &self->random);
    my_event_push(self, SOURCE_LOST)->lost = *error;
}

void
my_source_lost(struct source_mysql *self, const struct error *error, uint64_t now_us)
{
    const struct error why = *error; /* it may be part of a job */
    lose(self, &why, false, now_us);
}

void
my_source_ended(struct source_mysql *self, unsigned code, const struct error *error,
                uint64_t now_us)
{
    const struct error why = *error;
    lose(self, &why, my_error_is_announced(code), now_us);
}

/* The relay that waits is asked for nothing: the server gives it the lock that it has asked for. */
void
my_source_yield(struct source_mysql *self, uint64_t now_us)
{
    struct error error;
    error_set(&error, ERROR_TRANSIENT, "the ownership was given up");
    end(self, &error, false, now_us);
    self->retry_us = now_us + STANDBY_INTERVAL_US;
    my_event_push(self, SOURCE_YIELDED);
}
