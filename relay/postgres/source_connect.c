#include <assert.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/dsn.h"
#include "relay/config/secret.h"
#include "relay/postgres/source_private.h"

/* Limit for one look-up, and for one address from connect to a session ready for queries. */
#define CONNECT_TIMEOUT_US (10 * CLOCK_S_US)
#define KEYWORDS_MAX 12

struct keywords {
    const char *names[KEYWORDS_MAX + 1];
    const char *values[KEYWORDS_MAX + 1];
    int count;
};

static void
add(struct keywords *keywords, const char *name, const char *value)
{
    if (value != NULL) {
        assert(keywords->count < KEYWORDS_MAX);
        keywords->names[keywords->count] = name;
        keywords->values[keywords->count] = value;
        keywords->count++;
    }
}

/* Keywords after the dsn override it, those before it are defaults. */
PGconn *
pg_connect_begin(const struct source_config *config, const struct pg_target *target,
                 bool replication, const char *password, struct error *reterr)
{
    /* The files are checked again, as they may have changed since the start, and libpq would block on a pipe without a
     * writer. */
    if (!dsn_files_check(config->dsn, reterr)) {
        return NULL;
    }
    char name[64];
    char timeout_ms[24];
    struct keywords keywords = {.count = 0};
    /* A long name is cut: the server would cut it as well. */
    (void)snprintf(name, sizeof(name), "outbox-relay %s", config->name);
    (void)snprintf(timeout_ms, sizeof(timeout_ms), "%" PRIu64, config->takeover_us / CLOCK_MS_US);
    if (replication) {
        add(&keywords, "replication", "database");
    } else {
        add(&keywords, "target_session_attrs", "read-write");
    }
    add(&keywords, "tcp_user_timeout", timeout_ms);
    add(&keywords, "dbname", config->dsn);
    add(&keywords, "application_name", name);
    add(&keywords, "client_encoding", "UTF8");
    add(&keywords, "gssencmode", "disable"); /* see config.c */
    add(&keywords, "password", password);
    add(&keywords, "host", target->name);
    add(&keywords, "hostaddr", target->address);
    add(&keywords, "port", target->port);
    PGconn *const connection = PQconnectStartParams(keywords.names, keywords.values, 1);
    if (connection == NULL) {
        (void)error_set(reterr, ERROR_TRANSIENT, "out of memory"); /* always false */
    }
    return connection;
}

/* An error of one address is reported only when all have been tried. */
static void
failed(struct source_postgres *self)
{
    PQfinish(self->connection);
    self->connection = NULL;
}

static bool
connect_to(struct source_postgres *self, const struct pg_target *target)
{
    self->connection =
        pg_connect_begin(self->config, target, false, self->secret, &self->connect_error);
    if (self->connection == NULL) {
        return false;
    }
    /* Both return the earlier setting. For the verbosity see pg_error_from_connect. */
    (void)PQsetNoticeReceiver(self->connection, pg_error_receive_notice, self);
    (void)PQsetErrorVerbosity(self->connection, PQERRORS_VERBOSE);
    self->fatal_sqlstate[0] = '\0';
    self->polling = PGRES_POLLING_WRITING;
    if (PQstatus(self->connection) == CONNECTION_BAD) {
        pg_error_from_connect(self->connection, &self->connect_error);
        failed(self);
        return false;
    }
    return true;
}

/* Goes on to the next address that can be tried; after the last one the attempt has failed. */
static void
go_on(struct source_postgres *self, uint64_t now_us)
{
    struct pg_target target;
    self->connect_deadline_us = now_us + CONNECT_TIMEOUT_US;
    for (;;) {
        switch (pg_hosts_next(&self->hosts, &target, &self->connect_error)) {
        case PG_HOSTS_TARGET:
            self->state = PG_CONNECTING;
            if (connect_to(self, &target)) {
                return;
            }
            break;
        case PG_HOSTS_LOOKING_UP:
            self->state = PG_LOOKING_UP;
            return;
        case PG_HOSTS_UNKNOWN:
            break;
        case PG_HOSTS_END:
            pg_session_lost(self, &self->connect_error, now_us);
            return;
        }
    }
}

void
pg_connect_forget(struct source_postgres *self)
{
    password_end(&self->password);
    config_secret_free(self->secret);
    self->secret = NULL;
}

/* One password serves for all addresses of an attempt. */
static void
take_password(struct source_postgres *self, enum password_state state, uint64_t now_us)
{
    switch (state) {
    case PASSWORD_WAITS:
        self->state = PG_ASKING;
        break;
    case PASSWORD_HERE:
        go_on(self, now_us);
        break;
    case PASSWORD_FAILED:
        pg_session_lost(self, &self->connect_error, now_us);
        break;
    }
}

void
pg_connect_start(struct source_postgres *self, uint64_t now_us)
{
    pg_hosts_rewind(&self->hosts);
    pg_connect_forget(self);
    const enum password_state state = password_begin(&self->password, &self->config->password,
                                                     &self->secret, &self->connect_error);
    take_password(self, state, now_us);
}

void
pg_connect_ask(struct source_postgres *self, short revents, uint64_t now_us)
{
    if (revents != 0) {
        take_password(self, password_look(&self->password, &self->secret, &self->connect_error),
                      now_us);
    }
}

static void
too_late(struct source_postgres *self, const char *what, uint64_t now_us)
{
    error_set(&self->connect_error, ERROR_CONNECTION, "%s %s took longer than %" PRIu64 " s", what,
              pg_hosts_name(&self->hosts), CONNECT_TIMEOUT_US / CLOCK_S_US);
    failed(self);
    go_on(self, now_us);
}

/* The answer of a look-up is handled like the next address. */
void
pg_connect_look_up(struct source_postgres *self, short revents, uint64_t now_us)
{
    if (revents != 0) {
        go_on(self, now_us);
    } else if (now_us >= self->connect_deadline_us) {
        pg_hosts_skip(&self->hosts);
        too_late(self, "looking up host", now_us);
    }
}

void
pg_connect_poll(struct source_postgres *self, short revents, uint64_t now_us)
{
    if (revents != 0) {
        self->polling = PQconnectPoll(self->connection);
    }
    if (self->polling == PGRES_POLLING_OK) {
        pg_session_set_up(self, now_us);
    } else if (self->polling == PGRES_POLLING_FAILED) {
        pg_error_from_connect(self->connection, &self->connect_error);
        failed(self);
        go_on(self, now_us);
    } else if (now_us >= self->connect_deadline_us) {
        too_late(self, "connecting to the database at", now_us);
    }
}

short
pg_connect_poll_events(const struct source_postgres *self)
{
    const bool writing = self->state == PG_CONNECTING && self->polling != PGRES_POLLING_READING;
    return writing ? POLLOUT : POLLIN;
}
