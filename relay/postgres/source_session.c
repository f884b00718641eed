#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/postgres/source_private.h"
#include "relay/postgres/sql.h"

#include "contract_sql.h"
#include "find_sql.h"
#include "hand_over_sql.h"
#include "privileges_sql.h"
#include "search_path_sql.h"
#include "server_sql.h"
#include "session_sql.h"

#define STANDBY_INTERVAL_US (500 * CLOCK_MS_US)
/* After a session lasted for this long, its loss is a new problem: the waits start small again. If one statement ends
 * the session again and again, such as a delete that a trigger refuses, everything must not be published anew several
 * times a second. */
#define GOOD_US (10 * CLOCK_S_US)
/* idle_session_timeout exists since 14; prepared transactions keep their name in pg_locks since 14.1. */
#define SERVER_VERSION_MIN 140001

/* The first statement finds the schema. */
static bool
send_setup(struct source_postgres *self, uint64_t now_us)
{
    char lease_ms[24];
    const char *const values[] = {lease_ms};
    (void)snprintf(lease_ms, sizeof(lease_ms), "%" PRIu64,
                   self->config->takeover_us / CLOCK_MS_US); /* fits */
    return PQsendQueryParams(self->connection, sql_find, 0, NULL, NULL, NULL, NULL, 1) != 0 &&
           PQsendQueryParams(self->connection, sql_search_path, 0, NULL, NULL, NULL, NULL, 1) !=
               0 &&
           PQsendQueryParams(self->connection, sql_session, 1, NULL, values, NULL, NULL, 1) != 0 &&
           pg_request_end(self, PG_REQUEST_SESSION, now_us);
}

static bool
send_once(struct source_postgres *self, const char *sql)
{
    char *const text = postgres_sql(sql, self->schema);
    const bool sent = PQsendQueryParams(self->connection, text, 0, NULL, NULL, NULL, NULL, 1) != 0;
    memory_free(text);
    return sent;
}

static bool
find_schema(const struct source_postgres *self, const PGresult *result,
            char ret_schema[POSTGRES_NAME_BYTES], struct error *reterr)
{
    if (PQgetisnull(result, 0, 0) == 0) {
        (void)snprintf(ret_schema, POSTGRES_NAME_BYTES, "%s", PQgetvalue(result, 0, 0)); /* fits */
        return true;
    }
    if (pg_rows_bool(result, 0, 3) && self->pool.is_pooled) {
        pg_error_set_pooled(reterr); /* send_setup changed this session before */
        return false;
    }
    return postgres_refuse_absent(PQgetisnull(result, 0, 2) != 0 ? NULL : PQgetvalue(result, 0, 2),
                                  reterr);
}

static void
learn_schema(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    struct error error;
    self->pool.is_pooled = pg_rows_int4(result, 0, 4) != PQbackendPID(self->connection);
    if (!find_schema(self, result, self->schema, &error)) {
        pg_session_lost(self, &error, now_us);
    } else if (!send_once(self, sql_contract) || !send_once(self, sql_privileges) ||
               !pg_request_end(self, PG_REQUEST_CONTRACT, now_us)) {
        if (self->connection != NULL) {
            pg_session_broken(self, now_us);
        }
    }
}

void
pg_session_set_up(struct source_postgres *self, uint64_t now_us)
{
    struct error error;
    const int version = PQserverVersion(self->connection);
    (void)PQsetErrorVerbosity(self->connection, PQERRORS_DEFAULT); /* returns the earlier setting */
    if (version < SERVER_VERSION_MIN) {
        error_set(&error, ERROR_CONFIG,
                  "the database server is version %d.%d: 14.1 or newer is needed", version / 10000,
                  version % 10000);
        pg_session_lost(self, &error, now_us);
        return;
    }
    self->state = PG_SETTING_UP;
    if (PQsetnonblocking(self->connection, 1) != 0 || PQenterPipelineMode(self->connection) == 0 ||
        !send_setup(self, now_us)) {
        if (self->connection != NULL) {
            pg_session_broken(self, now_us);
        }
    }
}

void
pg_session_watermark(struct source_postgres *self, uint64_t now_us)
{
    struct pg_parameters sequence = {.count = 0};
    struct pg_parameters outbox = {.count = 0};
    pg_parameters_oid(&sequence, self->sequence_oid);
    pg_parameters_oid(&outbox, self->outbox_oid);
    if (pg_request_send(self, PG_SEQUENCE_LAST, &sequence, now_us) &&
        pg_request_send(self, PG_WRITERS, &outbox, now_us)) {
        pg_request_end(self, PG_REQUEST_WATERMARK, now_us); /* a loss was told */
    }
}

/* The first attempt is sent together with the statements to prepare. */
void
pg_session_own(struct source_postgres *self, uint64_t now_us)
{
    struct pg_parameters parameters = {.count = 0};
    pg_parameters_oid(&parameters, self->outbox_oid);
    pg_parameters_bool(&parameters, self->fit);
    self->retry_us = CLOCK_NEVER_US; /* set by the answer */
    if (pg_request_send(self, PG_OWN, &parameters, now_us)) {
        pg_request_end(self, PG_REQUEST_OWN, now_us); /* a loss was told */
    }
}

/* A request of its own, as its failure is no harm. */
static bool
ask_for_server(struct source_postgres *self, uint64_t now_us)
{
    self->outbox[0] = '\0';
    if (!send_once(self, sql_server)) {
        pg_session_broken(self, now_us);
        return false;
    }
    return pg_request_end(self, PG_REQUEST_SERVER, now_us);
}

static void
learn_server(struct source_postgres *self, const PGresult *result)
{
    if (PQntuples(result) == 0 || PQgetisnull(result, 0, 0) != 0) {
        return; /* it has no name */
    }
    const int written = snprintf(self->outbox, sizeof(self->outbox), "%s.%" PRIu32,
                                 PQgetvalue(result, 0, 0), self->outbox_oid);
    assert(written > 0 && (size_t)written < sizeof(self->outbox));
    (void)written; /* only asserted */
}

void
pg_session_ready(struct source_postgres *self, uint64_t now_us)
{
    pg_connect_forget(self);
    if (ask_for_server(self, now_us) && pg_request_prepare_all(self, now_us)) {
        pg_session_own(self, now_us);
    }
}

void
pg_session_rival(struct source_postgres *self, uint64_t now_us)
{
    struct pg_parameters parameters = {.count = 0};
    pg_parameters_oid(&parameters, self->outbox_oid);
    if (pg_request_send(self, PG_RIVAL, &parameters, now_us)) {
        pg_request_end(self, PG_REQUEST_RIVAL, now_us); /* a loss was told */
    }
}

/* Whoever waits hears of the end of an ownership at once, not only when it asks the next time. */
static void
listen_for_hand_over(struct source_postgres *self, uint64_t now_us)
{
    char command[64];
    (void)snprintf(command, sizeof(command), "listen outbox_relay_%" PRIu32,
                   self->outbox_oid); /* fits */
    if (PQsendQueryParams(self->connection, command, 0, NULL, NULL, NULL, NULL, 1) == 0) {
        pg_session_broken(self, now_us);
    } else {
        pg_request_end(self, PG_REQUEST_LISTEN, now_us); /* a loss was told */
    }
}

static bool
check_contract(const PGresult *result, struct error *reterr)
{
    const int32_t version = PQgetisnull(result, 0, 2) ? 0 : pg_rows_int4(result, 0, 2);
    const int32_t relay_version = PQgetisnull(result, 0, 3) ? 0 : pg_rows_int4(result, 0, 3);
    if (version != PG_SCHEMA_VERSION) {
        return error_set(reterr, ERROR_CONFIG,
                         "the outbox tables have version %d, this relay needs version %d: use "
                         "the relay that fits the tables",
                         version, PG_SCHEMA_VERSION);
    }
    if (relay_version != PG_RELAY_SCHEMA_VERSION) {
        return error_set(reterr, ERROR_CONFIG,
                         "the relay's own tables have version %d, this relay needs version %d: %s",
                         relay_version, PG_RELAY_SCHEMA_VERSION,
                         relay_version < PG_RELAY_SCHEMA_VERSION
                             ? "run `outbox-relay init`"
                             : "use the relay that fits the tables");
    }
    if (PQgetisnull(result, 0, 4) || pg_rows_int4(result, 0, 4) < PG_RELAY_SCHEMA_REVISION_NEEDED) {
        return error_set(reterr, ERROR_CONFIG,
                         "the relay's own tables are an older relay's: run `outbox-relay init`");
    }
    if (PQgetisnull(result, 0, 1)) {
        return error_set(reterr, ERROR_CONFIG,
                         "column id of table outbox is no identity column: create the table by "
                         "`outbox-relay init`");
    }
    return true;
}

/* Lists the privileges that the role lacks, as grants to be run: those for the record of what was sent, or all others. */
static void
list_grants(const PGresult *result, bool tableless, bool for_sent, char *ret_grants, size_t size)
{
    size_t used = 0;
    ret_grants[0] = '\0';
    for (int i = 0; i < PQntuples(result); i++) {
        const bool needed =
            pg_rows_bool(result, i, 2) == for_sent && (tableless || !pg_rows_bool(result, i, 3));
        if (needed && used < size) {
            used +=
                (size_t)snprintf(ret_grants + used, size - used, "%sgrant %s on %s",
                                 used > 0 ? "; " : "", PQgetvalue(result, i, 0),
                                 PQgetvalue(result, i, 1)); /* cut is fine: `check` says it all */
        }
    }
}

static bool
check_privileges(const PGresult *result, const struct source_config *config, struct error *reterr)
{
    char grants[300];
    list_grants(result, config->tableless, false, grants, sizeof(grants));
    return grants[0] == '\0' ||
           error_set(reterr, ERROR_CONFIG, "the relay's role lacks a privilege: %s", grants);
}

static void
learn_sent(struct source_postgres *self, const PGresult *privileges)
{
    char grants[300];
    list_grants(privileges, self->config->tableless, true, grants, sizeof(grants));
    pg_sent_learn(self, grants);
}

static void
learn_contract(struct source_postgres *self, uint32_t answer, const PGresult *result,
               uint64_t now_us)
{
    struct error error;
    const bool good = answer == 1 ? check_contract(result, &error)
                                  : check_privileges(result, self->config, &error);
    if (!good) {
        pg_session_lost(self, &error, now_us);
        return;
    }
    if (answer == 1) {
        self->outbox_oid = (uint32_t)pg_rows_int4(result, 0, 0);
        self->sequence_oid = (uint32_t)pg_rows_int4(result, 0, 1);
        self->sent.there = pg_rows_bool(result, 0, 5);
        pg_tail_name(self, self->schema);
        return;
    }
    learn_sent(self, result);
    if (!pg_pool_begin(self, now_us)) {
        pg_session_ready(self, now_us);
    }
}

static void
learn_ownership(struct source_postgres *self, const PGresult *result, uint64_t sent_us,
                uint64_t now_us)
{
    if (pg_rows_bool(result, 0, 2)) {
        struct error error;
        pg_error_set_pooled(&error);
        pg_session_lost(self, &error, now_us);
        return;
    }
    backoff_reset(&self->backoff_config);
    self->began_us = now_us;
    if (pg_rows_bool(result, 0, 0)) {
        self->state = PG_OWNED;
        self->lease_until_us = sent_us + self->config->takeover_us;
        self->owned_since_us = pg_rows_int8(result, 0, 1);
        self->wake_from_us = INT64_MIN;
        self->started_at_us = self->owned_since_us - (int64_t)(now_us - self->created_us);
        pg_session_watermark(self, now_us); /* its answer pushes SOURCE_OWNED */
        return;
    }
    self->state = PG_STANDBY;
    const uint64_t quarter = self->config->takeover_us / 4;
    const uint64_t interval = quarter < STANDBY_INTERVAL_US ? quarter : STANDBY_INTERVAL_US;
    self->retry_us = now_us + random_between(&self->random, interval * 3 / 4, interval * 5 / 4);
    if (!self->standby_told) {
        self->standby_told = true;
        pg_event_push(self, SOURCE_STANDBY);
        listen_for_hand_over(self, now_us);
    }
}

static void
tell_watermark(struct source_postgres *self)
{
    if (!self->owned_told) {
        self->owned_told = true;
        struct source_owned *const owned = &pg_event_push(self, SOURCE_OWNED)->owned;
        (void)snprintf(owned->outbox, sizeof(owned->outbox), "%s", self->outbox); /* fits */
        return;
    }
    pg_event_push(self, SOURCE_FINAL)->final = (struct source_final){
        .id = self->watermark.final_id,
        .position = self->watermark.final_position,
        .log_end = self->log_end,
    };
}

static void
learn_writers(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    const int count = PQntuples(result);
    struct watermark_writer *writers = memory_array((size_t)count, sizeof(*writers));
    bool known = true;
    for (int i = 0; i < count && known; i++) {
        known = pg_watermark_parse(PQgetvalue(result, i, 0), &writers[i]);
    }
    if (known) {
        watermark_observe(&self->watermark, self->log_flushed, self->sequence_last, writers,
                          (size_t)count);
        tell_watermark(self);
    } else {
        struct error error;
        error_set(&error, ERROR_CONFIG,
                  "the server names transactions in a form that is not known");
        pg_session_lost(self, &error, now_us);
    }
    memory_free(writers);
}

static void
learn_watermark(struct source_postgres *self, uint32_t answer, const PGresult *result,
                uint64_t now_us)
{
    if (answer == 1) {
        self->log_flushed = PQgetisnull(result, 0, 0) ? 0 : (uint64_t)pg_rows_int8(result, 0, 0);
        self->log_end = PQgetisnull(result, 0, 1) ? 0 : (log_position)pg_rows_int8(result, 0, 1);
        self->sequence_last = PQgetisnull(result, 0, 2) ? 0 : pg_rows_int8(result, 0, 2);
    } else {
        learn_writers(self, result, now_us);
    }
}

void
pg_session_answer(struct source_postgres *self, struct pg_request *request, PGresult *result,
                  uint64_t now_us)
{
    request->answers++;
    switch (request->kind) {
    case PG_REQUEST_SESSION:
        if (request->answers == 1) {
            learn_schema(self, result, now_us);
        }
        break;
    case PG_REQUEST_CONTRACT:
        learn_contract(self, request->answers, result, now_us);
        break;
    case PG_REQUEST_POOL:
        pg_pool_answer(self, result, now_us);
        break;
    case PG_REQUEST_SERVER:
        learn_server(self, result);
        break;
    case PG_REQUEST_OWN:
        if (PQresultStatus(result) ==
            PGRES_TUPLES_OK) { /* Not the answer to preparing a statement. */
            learn_ownership(self, result, request->sent_us, now_us);
        }
        break;
    case PG_REQUEST_RIVAL:
        pg_event_push(self, SOURCE_RIVAL)->rival = pg_rows_bool(result, 0, 0);
        break;
    case PG_REQUEST_PRESENT:
        pg_fetch_present_answer(self, result);
        break;
    case PG_REQUEST_SETTLE:
        pg_settle_answer(self, result, now_us);
        break;
    case PG_REQUEST_SETTLE_LOOK:
        pg_settle_look_answer(self, result, now_us);
        break;
    case PG_REQUEST_WATERMARK:
        learn_watermark(self, request->answers, result, now_us);
        break;
    case PG_REQUEST_HOLD:
    case PG_REQUEST_SETTLE_HELD:
    case PG_REQUEST_RELEASE:
    case PG_REQUEST_RELEASE_FIRST:
    case PG_REQUEST_HEADS:
    case PG_REQUEST_WAKE:
    case PG_REQUEST_WAKE_STUCK:
        pg_held_answer(self, request, result, now_us);
        break;
    case PG_REQUEST_STATUS:
        self->status_outstanding = false;
        break;
    case PG_REQUEST_FORGET:
        pg_sent_forgotten(self, result, now_us);
        break;
    case PG_REQUEST_TAIL_LOOK:
    case PG_REQUEST_TAIL_END_READER:
    case PG_REQUEST_TAIL_HEARTBEAT:
    case PG_REQUEST_EMITTED:
        pg_tail_answer(self, request, result, now_us);
        break;
    case PG_REQUEST_FETCH: /* in source_fetch.c */
    case PG_REQUEST_LISTEN:
    case PG_REQUEST_PING:
        break;
    }
}

/* What is lost with the session; the caller says why, and when to connect again. */
static void
end(struct source_postgres *self, const struct error *error, uint64_t now_us)
{
    pg_pool_end(self);
    PQfinish(self->connection);
    self->connection = NULL;
    pg_connect_forget(self);
    self->state = PG_DOWN;
    self->standby_told = false;
    self->owned_told = false;
    self->wants_write = false;
    self->lease_until_us = 0;
    self->request_count = 0;
    pg_fetch_lost(self, error, now_us);
    pg_held_lost(self);
    pg_tail_stop(self);
    self->status_outstanding = false;
    self->sent.forget_out = false;
    self->leading = 0;
    watermark_done(&self->watermark);
}

void
pg_session_lost(struct source_postgres *self, const struct error *error, uint64_t now_us)
{
    struct backoff *backoff = error->class == ERROR_CONFIG ? &self->backoff_config : &self->backoff;
    if (now_us - self->began_us >= GOOD_US &&
        (self->state == PG_OWNED || self->state == PG_STANDBY)) {
        backoff_reset(&self->backoff);
    }
    end(self, error, now_us);
    self->retry_us = now_us + backoff_next_us(backoff, &self->random);
    pg_event_push(self, SOURCE_LOST)->lost = *error;
}

/* Should this fail, the end of the session does the same, only later for those who wait. */
void
pg_session_hand_over(struct source_postgres *self)
{
    struct pg_parameters parameters = {.count = 0};
    pg_parameters_oid(&parameters, self->outbox_oid);
    if (PQsendQueryParams(self->connection, sql_hand_over, parameters.count, NULL,
                          parameters.values, parameters.lengths, parameters.formats, 1) != 0 &&
        PQpipelineSync(self->connection) != 0) {
        (void)PQflush(self->connection); /* as said above */
    }
}

void
pg_session_yield(struct source_postgres *self, uint64_t now_us)
{
    struct error error;
    error_set(&error, ERROR_TRANSIENT, "the ownership was given up");
    pg_session_hand_over(self);
    end(self, &error, now_us);
    self->retry_us = now_us + STANDBY_INTERVAL_US;
    pg_event_push(self, SOURCE_YIELDED);
}

void
pg_session_broken(struct source_postgres *self, uint64_t now_us)
{
    struct error error;
    pg_error_from_loss(self, &error);
    pg_session_lost(self, &error, now_us);
}
