#include <assert.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/postgres/source_private.h"
#include "relay/postgres/sql.h"

#include "acts_sql.h"
#include "emitted_sql.h"
#include "fetch_heads_sql.h"
#include "fetch_next_exact_sql.h"
#include "fetch_next_sql.h"
#include "forget_sent_sql.h"
#include "heads_sql.h"
#include "hold_sql.h"
#include "hurry_sql.h"
#include "own_sql.h"
#include "patience_sql.h"
#include "present_range_sql.h"
#include "present_sql.h"
#include "release_first_sql.h"
#include "release_sql.h"
#include "rival_sql.h"
#include "sequence_last_sql.h"
#include "settle_held_keep_sql.h"
#include "settle_held_sql.h"
#include "settle_keep_sql.h"
#include "settle_sql.h"
#include "status_sql.h"
#include "tail_end_reader_sql.h"
#include "tail_heartbeat_sql.h"
#include "tail_look_sql.h"
#include "wake_sql.h"
#include "wake_stuck_sql.h"
#include "writers_sql.h"

static const struct {
    const char *name;
    const char *sql;
} statements[PG_STATEMENTS] = {
    [PG_OWN] = {"own", sql_own},
    [PG_RIVAL] = {"rival", sql_rival},
    [PG_FETCH_NEXT] = {"fetch_next", sql_fetch_next},
    [PG_FETCH_NEXT_EXACT] = {"fetch_next_exact", sql_fetch_next_exact},
    [PG_FETCH_HEADS] = {"fetch_heads", sql_fetch_heads},
    [PG_PATIENCE] = {"patience", sql_patience},
    [PG_HURRY] = {"hurry", sql_hurry},
    [PG_PRESENT] = {"present", sql_present},
    [PG_PRESENT_RANGE] = {"present_range", sql_present_range},
    [PG_SETTLE] = {"settle", sql_settle},
    [PG_SETTLE_KEEP] = {"settle_keep", sql_settle_keep},
    [PG_SETTLE_HELD] = {"settle_held", sql_settle_held},
    [PG_SETTLE_HELD_KEEP] = {"settle_held_keep", sql_settle_held_keep},
    [PG_FORGET_SENT] = {"forget_sent", sql_forget_sent},
    [PG_HOLD] = {"hold", sql_hold},
    [PG_RELEASE] = {"release", sql_release},
    [PG_RELEASE_FIRST] = {"release_first", sql_release_first},
    [PG_HEADS] = {"heads", sql_heads},
    [PG_WAKE] = {"wake", sql_wake},
    [PG_WAKE_STUCK] = {"wake_stuck", sql_wake_stuck},
    [PG_ACTS] = {"acts", sql_acts},
    [PG_STATUS] = {"status", sql_status},
    [PG_SEQUENCE_LAST] = {"sequence_last", sql_sequence_last},
    [PG_WRITERS] = {"writers", sql_writers},
    [PG_TAIL_LOOK] = {"tail_look", sql_tail_look},
    [PG_TAIL_END_READER] = {"tail_end_reader", sql_tail_end_reader},
    [PG_TAIL_HEARTBEAT] = {"tail_heartbeat", sql_tail_heartbeat},
    [PG_EMITTED] = {"emitted", sql_emitted},
};

/* libpq could not queue the request: the connection can't be used any more. */
static bool
sent(struct source_postgres *self, int done, uint64_t now_us)
{
    if (done == 0) {
        pg_session_broken(self, now_us);
    }
    return done != 0;
}

bool
pg_request_send(struct source_postgres *self, enum pg_statement statement,
                const struct pg_parameters *parameters, uint64_t now_us)
{
    return sent(self,
                PQsendQueryPrepared(self->connection, statements[statement].name, parameters->count,
                                    parameters->values, parameters->lengths, parameters->formats,
                                    1),
                now_us);
}

bool
pg_request_lead(struct source_postgres *self, enum pg_statement statement,
                const struct pg_parameters *parameters, uint64_t now_us)
{
    self->leading++;
    return pg_request_send(self, statement, parameters, now_us);
}

bool
pg_request_takes_utf8(const struct source_postgres *self)
{
    const char *encoding = PQparameterStatus(self->connection, "server_encoding");
    return encoding != NULL && strcmp(encoding, "UTF8") == 0;
}

/* What it uses need not exist. */
static bool
is_left_out(const struct source_postgres *self, size_t statement)
{
    switch (statement) {
    case PG_EMITTED:
        return !self->config->tableless;
    case PG_SETTLE_KEEP:
    case PG_SETTLE_HELD_KEEP:
    case PG_FORGET_SENT:
        return !self->sent.usable;
    default:
        return false;
    }
}

bool
pg_request_prepare_all(struct source_postgres *self, uint64_t now_us)
{
    for (size_t i = 0; i < PG_STATEMENTS; i++) {
        if (is_left_out(self, i)) {
            continue;
        }
        char *const sql = postgres_sql(statements[i].sql, self->schema);
        const int done = PQsendPrepare(self->connection, statements[i].name, sql, 0, NULL);
        memory_free(sql);
        if (!sent(self, done, now_us)) {
            return false;
        }
    }
    return true;
}

bool
pg_request_flush(struct source_postgres *self, uint64_t now_us)
{
    const int left = PQflush(self->connection);
    self->wants_write = left > 0;
    return sent(self, left >= 0, now_us);
}

/* Each request has its own sync, so that an error in one does not abort the next one. */
bool
pg_request_end(struct source_postgres *self, enum pg_request_kind kind, uint64_t now_us)
{
    assert(self->request_count < PG_REQUESTS_MAX);
    if (!sent(self, PQpipelineSync(self->connection), now_us) || !pg_request_flush(self, now_us)) {
        return false;
    }
    const uint32_t last = (self->request_first + self->request_count) % PG_REQUESTS_MAX;
    self->requests[last] =
        (struct pg_request){.kind = kind, .sent_us = now_us, .leading = self->leading};
    self->leading = 0;
    self->request_count++;
    self->sent_us = now_us;
    return true;
}

/* Bytes that arrive, or that the server accepts, show that it is alive: over a slow link a batch may take long. */
uint64_t
pg_request_deadline_us(const struct source_postgres *self)
{
    if (self->request_count == 0) {
        return CLOCK_NEVER_US;
    }
    const uint64_t sent_us = self->requests[self->request_first].sent_us;
    return (sent_us > self->heard_us ? sent_us : self->heard_us) + self->config->takeover_us;
}

static void
finish(struct source_postgres *self, PGresult *sync)
{
    const struct pg_request request = self->requests[self->request_first];
    PQclear(sync);
    self->request_first = (self->request_first + 1) % PG_REQUESTS_MAX;
    self->request_count--;
    if (request.kind == PG_REQUEST_PING) {
        pg_event_alive(self);
    }
}

/* An answer proves that the server received the request, at or after the time of sending; its idle timer cannot have
 * started earlier. */
static void
renew_lease(struct source_postgres *self, uint64_t sent_us)
{
    if (self->state == PG_OWNED && sent_us + self->config->takeover_us > self->lease_until_us) {
        self->lease_until_us = sent_us + self->config->takeover_us;
    }
}

/* True if another statement was sent instead, and the session goes on. */
static bool
is_isolated(struct source_postgres *self, const struct pg_request *request, const PGresult *result,
            uint64_t now_us)
{
    if (request->kind == PG_REQUEST_SERVER) {
        return true; /* it may not be asked: the outbox has no name */
    }
    if (self->state != PG_OWNED) {
        return false;
    }
    if (request->kind == PG_REQUEST_FETCH) {
        return pg_fetch_refused(self, result, now_us);
    }
    if (request->kind == PG_REQUEST_SETTLE) {
        return pg_settle_refused(self, result, now_us);
    }
    if (request->kind == PG_REQUEST_FORGET) {
        pg_sent_unforgotten(self, result, now_us);
        return true;
    }
    if (request->kind == PG_REQUEST_EMITTED) {
        return pg_emitted_refused(self, result, now_us);
    }
    return pg_held_refused(self, request, result, now_us);
}

static void
refuse_take(struct source_postgres *self, PGresult *result, uint64_t now_us)
{
    struct error error;
    if (PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL) {
        PQclear(result);
        pg_session_broken(self, now_us);
        return;
    }
    renew_lease(self, self->requests[self->request_first].sent_us);
    if (is_isolated(self, &self->requests[self->request_first], result, now_us)) {
        PQclear(result);
        return;
    }
    pg_error_from_result(result, &error);
    PQclear(result);
    pg_session_lost(self, &error, now_us);
}

static void
answer_take(struct source_postgres *self, PGresult *result, uint64_t now_us)
{
    struct pg_request *request = &self->requests[self->request_first];
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_PIPELINE_ABORTED) {
        PQclear(result); /* follows a refused statement: the whole request is sent again */
        return;
    }
    if (status != PGRES_PIPELINE_SYNC && status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        refuse_take(self, result, now_us);
        return;
    }
    renew_lease(self, request->sent_us);
    if (status == PGRES_PIPELINE_SYNC) {
        finish(self, result);
    } else if (request->leading > 0) {
        request->leading--;
        PQclear(result);
    } else if (request->kind == PG_REQUEST_FETCH) {
        pg_fetch_answer_take(self, result, now_us);
    } else {
        pg_session_answer(self, request, result, now_us);
        PQclear(result);
    }
}

/* NULL separates the answers of a pipeline; two NULLs in a row mean that there are no more. */
static PGresult *
next_result(PGconn *connection)
{
    for (int i = 0; i < 2 && !PQisBusy(connection); i++) {
        PGresult *result = PQgetResult(connection);
        if (result != NULL) {
            return result;
        }
    }
    return NULL;
}

/* OpenSSL gives libpq as much as there is room for, and keeps the rest of a record; poll does not wake us for that
 * rest. */
bool
pg_request_consume(PGconn *connection)
{
    bool alive = PQconsumeInput(connection) != 0;
    const SSL *tls = PQsslStruct(connection, "OpenSSL");
    while (alive && tls != NULL && SSL_pending(tls) > 0) {
        alive = PQconsumeInput(connection) != 0;
    }
    return alive;
}

/* Handles all received answers. */
static void
take_answers(struct source_postgres *self, uint64_t now_us)
{
    while (self->connection != NULL && self->request_count > 0) {
        PGresult *result = next_result(self->connection);
        if (result == NULL) {
            return;
        }
        answer_take(self, result, now_us);
    }
    if (self->connection != NULL) {
        /* Parses the input: a server sends its last message unasked. */
        (void)PQisBusy(self->connection);
    }
}

/* An owner that ends tells those who wait for the ownership (hand_over.sql). */
static void
take_notifications(struct source_postgres *self, uint64_t now_us)
{
    PGnotify *notification;
    while ((notification = PQnotifies(self->connection)) != NULL) {
        PQfreemem(notification);
        if (self->state == PG_STANDBY && self->retry_us != CLOCK_NEVER_US) {
            self->retry_us = now_us;
        }
    }
}

void
pg_request_receive(struct source_postgres *self, uint64_t now_us)
{
    const bool alive = pg_request_consume(self->connection);
    take_answers(self, now_us);
    if (self->connection != NULL) {
        take_notifications(self, now_us);
    }
    if (self->connection != NULL && (!alive || self->fatal_sqlstate[0] != '\0')) {
        pg_session_broken(self, now_us);
    }
}
