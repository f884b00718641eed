#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "relay/config/secret.h"
#include "relay/postgres/source_private.h"

#include "tail_open_sql.h"

/* The first version that can copy logical slots to standbys. */
#define FAILOVER_VERSION 170000
/* For each step except creating a slot. */
#define STEP_TIMEOUT_US (15 * CLOCK_S_US)
/* Creating a slot waits for open transactions; for each one the server waits at most a minute (tail_open.sql). */
#define MAKE_TIMEOUT_US (600 * CLOCK_S_US)
#define MAKE_NOTICE_US (5 * CLOCK_S_US)
#define COMMAND_BYTES 512

/* The server's notices are for people at a terminal, with one exception. From PostgreSQL 18 on, if the publication did
 * not exist at the position that is being read, the server sends a warning and skips the changes. (LoadPublications in
 * pgoutput.c; older servers stop with an error, see blames_slot.) */
static void
receive_notice(void *context, const PGresult *notice)
{
    struct pg_tail *tail = context;
    const char *sqlstate = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
    const char *words = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    if (sqlstate != NULL && strcmp(sqlstate, "55000") == 0) {
        tail->skips++;
        (void)snprintf(tail->skipped, sizeof(tail->skipped), "%s", words); /* cut is fine */
    }
}

static void
fail(struct source_postgres *self, const char *words)
{
    struct error error;
    error_set(&error, ERROR_CONNECTION, "%s", words);
    pg_tail_failed(self, &error);
}

static const char *
none_if_empty(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static void
step(struct pg_tail *tail, enum pg_tail_state state, uint64_t now_us)
{
    tail->state = state;
    tail->deadline_us = now_us + (state == PG_TAIL_CREATING ? MAKE_TIMEOUT_US : STEP_TIMEOUT_US);
    tail->waits_us = now_us + MAKE_NOTICE_US;
}

/* Connects to the session's server, not to another one that the dsn names. */
static void
connect_to_server(struct source_postgres *self, const char *password, uint64_t now_us)
{
    struct pg_tail *tail = &self->tail;
    const struct pg_target target = {
        .name = none_if_empty(PQhost(self->connection)),
        .address = none_if_empty(PQhostaddr(self->connection)),
        .port = none_if_empty(PQport(self->connection)),
    };
    step(tail, PG_TAIL_CONNECTING, now_us);
    struct error error;
    tail->connection = pg_connect_begin(self->config, &target, true, password, &error);
    if (tail->connection == NULL) {
        fail(self, error.text);
        return;
    }
    tail->skipped[0] = '\0';
    tail->skips = 0;
    (void)PQsetNoticeReceiver(tail->connection, receive_notice,
                              tail);                               /* gives back the one before */
    (void)PQsetErrorVerbosity(tail->connection, PQERRORS_VERBOSE); /* likewise */
    tail->polling = PGRES_POLLING_WRITING;
    if (PQstatus(tail->connection) == CONNECTION_BAD) {
        tail->polling = PGRES_POLLING_FAILED;
    }
}

/* Takes the password over. */
static void
take_password(struct source_postgres *self, enum password_state state, char *password,
              const struct error *error, uint64_t now_us)
{
    switch (state) {
    case PASSWORD_WAITS:
        self->tail.state = PG_TAIL_ASKING;
        break;
    case PASSWORD_HERE:
        connect_to_server(self, password, now_us);
        break;
    case PASSWORD_FAILED:
        pg_tail_failed(self, error);
        break;
    }
    config_secret_free(password);
}

/* The session's password may have expired since that was made. */
void
pg_tail_open(struct source_postgres *self, uint64_t now_us)
{
    char *password;
    struct error error;
    const enum password_state state =
        password_begin(&self->tail.password, &self->config->password, &password, &error);
    take_password(self, state, password, &error, now_us);
}

void
pg_tail_open_ask(struct source_postgres *self, short revents, uint64_t now_us)
{
    if (revents != 0) {
        char *password;
        struct error error;
        const enum password_state state = password_look(&self->tail.password, &password, &error);
        take_password(self, state, password, &error, now_us);
    }
}

static void
send_command(struct source_postgres *self, const char *command)
{
    if (PQsendQuery(self->tail.connection, command) == 0) {
        struct error error;
        pg_tail_why(self, &error);
        pg_tail_failed(self, &error);
    } else {
        pg_tail_flush(self); /* a failure was told */
    }
}

/* WAIT, as our own earlier connection that read the slot may not have ended yet. */
static void
send_drop(struct source_postgres *self, uint64_t now_us)
{
    char command[COMMAND_BYTES];
    (void)snprintf(command, sizeof(command), "DROP_REPLICATION_SLOT \"%s\" WAIT",
                   self->tail.slot); /* fits */
    step(&self->tail, PG_TAIL_DROPPING, now_us);
    send_command(self, command);
}

/* From 17 on a standby can copy it, so that reading goes on after a promotion. */
static void
send_create(struct source_postgres *self, uint64_t now_us)
{
    const bool can_be_copied = PQserverVersion(self->tail.connection) >= FAILOVER_VERSION;
    char command[COMMAND_BYTES];
    (void)snprintf(command, sizeof(command), "CREATE_REPLICATION_SLOT \"%s\" LOGICAL pgoutput %s",
                   self->tail.slot,
                   can_be_copied ? "(SNAPSHOT 'nothing', FAILOVER)"
                                 : "NOEXPORT_SNAPSHOT"); /* fits */
    step(&self->tail, PG_TAIL_CREATING, now_us);
    send_command(self, command);
}

/* A slot that was made before the server's upgrade, or by somebody else. */
static void
send_mark(struct source_postgres *self, uint64_t now_us)
{
    char command[COMMAND_BYTES];
    (void)snprintf(command, sizeof(command), "ALTER_REPLICATION_SLOT \"%s\" (FAILOVER)",
                   self->tail.slot); /* fits */
    step(&self->tail, PG_TAIL_MARKING, now_us);
    send_command(self, command);
}

/* Writes the name as an identifier within a string: both kinds of quotes are doubled. At most 2 bytes for each byte. */
static void
quote_name(const char *name, char *ret_text)
{
    char *at = ret_text;
    for (; *name != '\0'; name++) {
        *at++ = *name;
        if (*name == '\'' || *name == '"') {
            *at++ = *name;
        }
    }
    *at = '\0';
}

static void
send_start(struct source_postgres *self, uint64_t now_us)
{
    const struct pg_tail *tail = &self->tail;
    char publication[2 * POSTGRES_NAME_BYTES];
    char command[COMMAND_BYTES];
    quote_name(tail->publication, publication);
    (void)snprintf(command, sizeof(command),
                   "START_REPLICATION SLOT \"%s\" LOGICAL %" PRIX32 "/%" PRIX32
                   " (proto_version '1', publication_names '\"%s\"', binary 'true'%s)",
                   tail->slot, (uint32_t)(tail->position >> 32), (uint32_t)tail->position,
                   publication, self->config->tableless ? ", messages 'true'" : ""); /* fits */
    step(&self->tail, PG_TAIL_STARTING, now_us);
    send_command(self, command);
}

static void
go_on(struct source_postgres *self, uint64_t now_us)
{
    struct pg_tail *tail = &self->tail;
    if (tail->drop_slot) {
        tail->drop_slot = false;
        send_drop(self, now_us);
    } else if (tail->make_slot) {
        tail->make_slot = false;
        send_create(self, now_us);
    } else if (tail->mark_slot) {
        tail->mark_slot = false;
        send_mark(self, now_us);
    } else if (tail->read_slot) {
        send_start(self, now_us);
    } else {
        pg_tail_end(self);
    }
}

/* ---- what comes back ---- */

static bool
check_server(struct source_postgres *self, const PGresult *result)
{
    if (strcmp(PQgetvalue(result, 0, 0), self->tail.server) == 0) {
        return true;
    }
    fail(self, "the second connection led to another server than the first");
    return false;
}

/* Where the new slot begins. */
static bool
learn_slot(struct source_postgres *self, const PGresult *result)
{
    struct pg_tail *tail = &self->tail;
    uint32_t high;
    uint32_t low;
    if (PQnfields(result) < 2 ||
        sscanf(PQgetvalue(result, 0, 1), "%" SCNx32 "/%" SCNx32, &high, &low) != 2) {
        fail(self, "the server tells the position of a new slot in a form that is not known");
        return false;
    }
    const uint64_t position = (uint64_t)high << 32 | low;
    if (position > tail->position || self->config->tableless) {
        tail->position = position;
    }
    tail->spoiled[0] = '\0';
    return true;
}

static void
refused(struct source_postgres *self, const PGresult *result)
{
    struct pg_tail *tail = &self->tail;
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    struct error error;
    if (sqlstate != NULL && strcmp(sqlstate, "55P03") == 0) { /* lock_timeout */
        error_set(&error, ERROR_TRANSIENT,
                  "replication slot \"%s\" can't be made while a transaction is open for more than "
                  "a minute: it has to wait for all that were open before it",
                  tail->slot);
    } else if (sqlstate != NULL && strcmp(sqlstate, "42710") == 0 &&
               tail->state == PG_TAIL_CREATING) {
        error_set(&error, ERROR_TRANSIENT,
                  "replication slot \"%s\" was made meanwhile by an earlier connection of a relay",
                  tail->slot);
    } else {
        pg_tail_refused(self, result, &error);
    }
    pg_tail_failed(self, &error);
}

/* False if the connection can't be used any more, which was reported, or if streaming began. */
static bool
take(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    const ExecStatusType status = PQresultStatus(result);
    const enum pg_tail_state state = self->tail.state;
    if (status == PGRES_COPY_BOTH && state == PG_TAIL_STARTING) {
        pg_stream_begin(self, now_us);
        return false;
    }
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        refused(self, result);
        return false;
    }
    return state == PG_TAIL_OPENING    ? check_server(self, result)
           : state == PG_TAIL_CREATING ? learn_slot(self, result)
                                       : true;
}

/* The answer to a command is a result and then NULL. */
static void
take_answers(struct source_postgres *self, uint64_t now_us)
{
    struct pg_tail *tail = &self->tail;
    while (!PQisBusy(tail->connection)) {
        PGresult *result = PQgetResult(tail->connection);
        if (result == NULL) {
            go_on(self, now_us);
            return;
        }
        const bool good = take(self, result, now_us);
        PQclear(result);
        if (!good) {
            return;
        }
    }
}

static void
connect_on(struct source_postgres *self, short revents, uint64_t now_us)
{
    struct pg_tail *tail = &self->tail;
    if (revents != 0 && tail->polling != PGRES_POLLING_FAILED) {
        tail->polling = PQconnectPoll(tail->connection);
    }
    if (tail->polling == PGRES_POLLING_FAILED) {
        struct error error;
        pg_error_from_connect(tail->connection, &error);
        pg_tail_failed(self, &error);
    } else if (tail->polling == PGRES_POLLING_OK) {
        (void)PQsetErrorVerbosity(tail->connection,
                                  PQERRORS_DEFAULT); /* gives back the one before */
        step(tail, PG_TAIL_OPENING, now_us);
        if (PQsetnonblocking(tail->connection, 1) != 0) {
            fail(self, "out of memory");
        } else {
            send_command(self, sql_tail_open);
        }
    }
}

static void
receive(struct source_postgres *self, uint64_t now_us)
{
    const bool alive = pg_request_consume(self->tail.connection);
    take_answers(self, now_us);
    if (!alive && self->tail.connection != NULL) {
        struct error error;
        pg_tail_why(self, &error);
        pg_tail_failed(self, &error);
    }
}

static void
keep_time(struct source_postgres *self, uint64_t now_us)
{
    struct pg_tail *tail = &self->tail;
    if (now_us >= tail->deadline_us) {
        fail(self, "the server did not answer in time on the connection that reads the log");
    } else if (tail->state == PG_TAIL_CREATING && now_us >= tail->waits_us) {
        tail->waits_us = CLOCK_NEVER_US;
        pg_tail_notice(self,
                       "making replication slot \"%s\" waits for transactions that were open "
                       "before it; polling meanwhile",
                       tail->slot);
    }
}

void
pg_tail_open_process(struct source_postgres *self, short revents, uint64_t now_us)
{
    struct pg_tail *tail = &self->tail;
    if (tail->state == PG_TAIL_CONNECTING) {
        connect_on(self, revents, now_us);
    } else if ((revents & ~POLLOUT) != 0) {
        receive(self, now_us);
    }
    if (tail->connection != NULL && tail->state != PG_TAIL_STREAMING) {
        keep_time(self, now_us);
    }
}
