#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "relay/postgres/hash.h"
#include "relay/postgres/schema.h"
#include "relay/postgres/source_private.h"

/* Interval between two looks at the slot and the log that it retains. */
#define LOOK_INTERVAL_US (5 * CLOCK_S_US)
/* Waiting for an earlier reader of the slot. First it gets a moment to end by itself: it may be our own, and its last
 * status still unread by the server. */
#define READER_INTERVAL_US (100 * CLOCK_MS_US)
#define READER_TIMEOUT_US (30 * CLOCK_S_US)
#define READER_GRACE_US (400 * CLOCK_MS_US)
/* Status messages are sent to the server at least this often; the server's own limit may require more. */
#define STATUS_INTERVAL_US (10 * CLOCK_S_US)
#define STATUS_INTERVAL_MIN_US (50 * CLOCK_MS_US)
/* If a slot was within its limit for this long, the waits start small again. */
#define BUDGET_FORGET_US (3600 * CLOCK_S_US)

enum column {
    COLUMN_SERVER,
    COLUMN_SYSTEM,
    COLUMN_TIMELINE,
    COLUMN_TROUBLE,
    COLUMN_SENDER_TIMEOUT,
    COLUMN_SLOT_EXISTS,
    COLUMN_SLOT_LOST,
    COLUMN_SLOT_UNMARKED,
    COLUMN_READER_PID,
    COLUMN_CONFIRMED,
    COLUMN_RETAINED,
    COLUMN_PROBE_HASH,
};

struct look {
    const char *server;
    const char *system;
    const char *timeline;
    const char *trouble; /* NULL: none */
    uint64_t sender_timeout_us;
    bool slot_exists;
    bool slot_lost;
    bool slot_unmarked; /* standbys do not copy it, although they could */
    int32_t reader_pid; /* 0: nobody reads it */
    uint64_t confirmed;
    uint64_t retained;
};

static void
decode(const PGresult *result, struct look *ret_look)
{
    *ret_look = (struct look){
        .server = PQgetvalue(result, 0, COLUMN_SERVER),
        .system = PQgetvalue(result, 0, COLUMN_SYSTEM),
        .timeline = PQgetvalue(result, 0, COLUMN_TIMELINE),
        .trouble =
            PQgetisnull(result, 0, COLUMN_TROUBLE) ? NULL : PQgetvalue(result, 0, COLUMN_TROUBLE),
        .sender_timeout_us = (uint64_t)pg_rows_int8(result, 0, COLUMN_SENDER_TIMEOUT) * CLOCK_MS_US,
        .slot_exists = pg_rows_bool(result, 0, COLUMN_SLOT_EXISTS),
        .slot_lost = pg_rows_bool(result, 0, COLUMN_SLOT_LOST),
        .slot_unmarked = pg_rows_bool(result, 0, COLUMN_SLOT_UNMARKED),
        .reader_pid = pg_rows_int4(result, 0, COLUMN_READER_PID),
        .confirmed = (uint64_t)pg_rows_int8(result, 0, COLUMN_CONFIRMED),
        .retained = (uint64_t)pg_rows_int8(result, 0, COLUMN_RETAINED),
    };
    if (ret_look->trouble == NULL && pg_rows_int8(result, 0, COLUMN_PROBE_HASH) !=
                                         pg_hash_text(pg_hash_probe, strlen(pg_hash_probe))) {
        ret_look->trouble = "the server hashes keys in a way that is not known: use mode = poll";
    }
}

/* ---- asking ---- */

static bool
heartbeats(const struct source_postgres *self)
{
    return self->tail.state == PG_TAIL_STREAMING && self->config->heartbeat_interval_us > 0 &&
           !self->tail.heartbeat_outstanding;
}

uint64_t
pg_tail_look_deadline_us(const struct source_postgres *self)
{
    const struct pg_tail *tail = &self->tail;
    const bool looks = self->config->mode != SOURCE_MODE_POLL && !tail->look_outstanding;
    return clock_earlier_us(looks ? tail->look_us : CLOCK_NEVER_US,
                            heartbeats(self) ? tail->heartbeat_us : CLOCK_NEVER_US);
}

static void
ask_look(struct source_postgres *self, uint64_t now_us)
{
    struct pg_parameters parameters = {.count = 0};
    self->tail.look_outstanding = true;
    pg_parameters_oid(&parameters, self->outbox_oid);
    pg_parameters_text(&parameters, self->tail.slot);
    pg_parameters_text(&parameters, self->tail.publication);
    pg_parameters_text(&parameters, pg_hash_probe);
    /* Emitted messages come only by the log, whatever their size. */
    pg_parameters_text(&parameters, self->config->tableless ? NULL : postgres_schema_limits);
    if (pg_request_send(self, PG_TAIL_LOOK, &parameters, now_us)) {
        pg_request_end(self, PG_REQUEST_TAIL_LOOK, now_us); /* a loss was told */
    }
}

static void
ask_heartbeat(struct source_postgres *self, uint64_t now_us)
{
    const struct pg_parameters none = {.count = 0};
    self->tail.heartbeat_outstanding = true;
    self->tail.heartbeat_us = now_us + self->config->heartbeat_interval_us;
    if (pg_request_send(self, PG_TAIL_HEARTBEAT, &none, now_us)) {
        pg_request_end(self, PG_REQUEST_TAIL_HEARTBEAT, now_us); /* a loss was told */
    }
}

void
pg_tail_look(struct source_postgres *self, uint64_t now_us)
{
    struct pg_tail *tail = &self->tail;
    if (self->config->mode != SOURCE_MODE_POLL && !tail->look_outstanding &&
        now_us >= tail->look_us) {
        ask_look(self, now_us);
    }
    if (self->state == PG_OWNED && heartbeats(self) && now_us >= tail->heartbeat_us) {
        ask_heartbeat(self, now_us);
    }
}

static void
end_reader(struct source_postgres *self, uint64_t now_us)
{
    struct pg_parameters parameters = {.count = 0};
    pg_parameters_text(&parameters, self->tail.slot);
    if (pg_request_send(self, PG_TAIL_END_READER, &parameters, now_us)) {
        pg_request_end(self, PG_REQUEST_TAIL_END_READER, now_us); /* a loss was told */
    }
}

/* ---- what the answer means ---- */

static void
refuse(struct source_postgres *self, enum error_class class, const char *words)
{
    struct error error;
    error_set(&error, class, "%s", words);
    pg_tail_failed(self, &error);
}

static bool
is_excessive(const struct source_postgres *self, const struct look *look)
{
    return self->config->wal_retain_max > 0 && look->retained > self->config->wal_retain_max;
}

/* The slot of a tableless source is never dropped for its size: only there the messages exist. */
static bool
over_budget(const struct source_postgres *self, const struct look *look)
{
    return is_excessive(self, look) && !self->config->tableless;
}

static void
tell_excess(struct source_postgres *self, const struct look *look)
{
    struct pg_tail *tail = &self->tail;
    const bool excessive = is_excessive(self, look) && self->config->tableless;
    if (excessive && !tail->excess_told) {
        char retained[TEXT_UNIT_BYTES];
        text_format_size(look->retained >> 20 << 20, retained);
        struct source_notice *notice =
            pg_tail_notice(self,
                           "replication slot \"%s\" holds back more than wal_retain_max of log "
                           "(%s); it is not dropped, because messages may be nowhere else: see "
                           "with `outbox-relay status` why they are not sent",
                           tail->slot, retained);
        notice->error.class = ERROR_CONFIG;
    }
    tail->excess_told = excessive;
}

/* Why the existing slot can't or must not be read on; NULL: it can. */
static const char *
useless_because(const struct source_postgres *self, const struct look *look)
{
    if (look->slot_lost) {
        return "the server has removed log that it needs (max_slot_wal_keep_size)";
    }
    if (over_budget(self, look)) {
        return "it holds back more than wal_retain_max of log";
    }
    return self->tail.spoiled[0] != '\0' ? self->tail.spoiled : NULL;
}

/* useless: why the existing slot can't be read; NULL: there is no slot. */
static void
tell_new_slot(struct source_postgres *self, const char *useless)
{
    struct pg_tail *tail = &self->tail;
    if (self->config->tableless) {
        struct source_notice *notice = pg_tail_notice(
            self,
            "replication slot \"%s\" %s%s; it is made anew, and what was emitted without "
            "a table and not read yet is lost (at the first start, nothing was)",
            tail->slot, useless != NULL ? "can't be used any more: " : "does not exist",
            useless != NULL ? useless : "");
        notice->error.class = ERROR_CONFIG;
    } else if (useless != NULL) {
        pg_tail_notice(self,
                       "replication slot \"%s\" can't be used any more: %s; it is made anew, and "
                       "the table has what the log lacks",
                       tail->slot, useless);
    } else {
        struct source_notice *notice = pg_tail_notice(
            self,
            "replication slot \"%s\" does not exist (as at the first start, after a failover or a "
            "restore); it is made, and the table has what the log lacks",
            tail->slot);
        notice->harmless = !tail->was_read;
    }
}

/* Decides whether the slot is dropped or created before it is read. */
static void
plan_slot(struct source_postgres *self, const struct look *look)
{
    struct pg_tail *tail = &self->tail;
    const char *useless = look->slot_exists ? useless_because(self, look) : NULL;
    tail->drop_slot = useless != NULL;
    tail->make_slot = tail->drop_slot || !look->slot_exists;
    tail->mark_slot = !tail->make_slot && look->slot_unmarked;
    if (tail->make_slot) {
        tell_new_slot(self, useless);
    } else if (self->config->tableless) {
        /* Rows that the table already has come again and are recognized; the others are between them. */
        tail->position =
            look->confirmed > tail->emitted.written ? look->confirmed : tail->emitted.written;
    } else if (look->confirmed > tail->position) {
        tail->position = look->confirmed; /* the slot does not keep earlier log */
    }
}

/* Only the owner of the outbox reads its slot: an earlier reader has to go. */
static void
wait_for_reader(struct source_postgres *self, const struct look *look, uint64_t now_us)
{
    struct pg_tail *tail = &self->tail;
    if (now_us >= tail->begun_us + READER_TIMEOUT_US) {
        struct error error;
        error_set(&error, ERROR_TRANSIENT,
                  "replication slot \"%s\" is read by an earlier relay (process %d of the server), "
                  "which does not end",
                  tail->slot, look->reader_pid);
        pg_tail_failed(self, &error);
        return;
    }
    tail->look_us = now_us + READER_INTERVAL_US;
    if (now_us >= tail->begun_us + READER_GRACE_US) {
        end_reader(self, now_us);
    }
}

static uint64_t
status_interval_us(const struct look *look)
{
    const uint64_t third = look->sender_timeout_us / 3;
    if (third == 0 || third > STATUS_INTERVAL_US) {
        return STATUS_INTERVAL_US;
    }
    return third > STATUS_INTERVAL_MIN_US ? third : STATUS_INTERVAL_MIN_US;
}

static void
begin_with(struct source_postgres *self, const struct look *look, uint64_t now_us)
{
    struct pg_tail *tail = &self->tail;
    if (look->trouble != NULL) {
        refuse(self, ERROR_CONFIG, look->trouble);
    } else if (self->config->crowded && !look->slot_exists) {
        /* A slot that is there already would keep the log for nobody. */
        refuse(self, ERROR_CONFIG, config_crowded_words(self->config));
    } else if (look->reader_pid != 0) {
        wait_for_reader(self, look, now_us);
    } else {
        plan_slot(self, look);
        tail->stream.status_interval_us = status_interval_us(look);
        pg_tail_open(self, now_us);
    }
}

static void
drop_over_budget(struct source_postgres *self, const struct look *look, uint64_t now_us)
{
    struct pg_tail *tail = &self->tail;
    char retained[TEXT_UNIT_BYTES];
    struct error error;
    text_format_size(look->retained >> 20 << 20, retained);
    error_set(&error, ERROR_TRANSIENT,
              "replication slot \"%s\" held back more than wal_retain_max of log (%s); it is "
              "dropped, going on by polling",
              tail->slot, retained);
    if (now_us > tail->not_before_us + BUDGET_FORGET_US) {
        backoff_reset(&tail->budget);
    }
    tail->not_before_us = now_us + backoff_next_us(&tail->budget, &self->random);
    if (tail->state == PG_TAIL_OFF) {
        pg_tail_notice(self, "%s", error.text);
    } else {
        pg_tail_failed(self, &error);
    }
    tail->read_slot = false;
    tail->drop_slot = true;
    tail->make_slot = false;
    tail->mark_slot = false;
    pg_tail_open(self, now_us);
}

static void
watch(struct source_postgres *self, const struct look *look, uint64_t now_us)
{
    const bool streaming = self->tail.state == PG_TAIL_STREAMING;
    if (streaming && look->trouble != NULL) {
        refuse(self, ERROR_CONFIG, look->trouble);
    } else if (over_budget(self, look) &&
               (streaming || (look->reader_pid == 0 && now_us >= self->tail.not_before_us))) {
        drop_over_budget(self, look, now_us);
    }
}

/* Reports if the server is another one, or was restored or promoted. */
static void
recognise_server(struct source_postgres *self, const struct look *look)
{
    struct pg_tail *tail = &self->tail;
    if (look->system[0] == '\0') {
        return; /* a server without a logical log does not say */
    }
    if (tail->system[0] != '\0' && strcmp(tail->system, look->system) != 0) {
        pg_tail_notice(self, "this is another database cluster than before (%s, was %s)",
                       look->system, tail->system);
    } else if (tail->timeline[0] != '\0' && strcmp(tail->timeline, look->timeline) != 0) {
        pg_tail_notice(self, "the server has been promoted or restored since (timeline %s, was %s)",
                       look->timeline, tail->timeline);
    }
    (void)snprintf(tail->server, sizeof(tail->server), "%s", look->server);
    (void)snprintf(tail->system, sizeof(tail->system), "%s", look->system);
    (void)snprintf(tail->timeline, sizeof(tail->timeline), "%s", look->timeline); /* all fit */
}

/* Another table may have that name already: a new session looks for it, as at the start. */
static void
outbox_is_gone(struct source_postgres *self, uint64_t now_us)
{
    struct error error;
    error_set(&error, ERROR_TRANSIENT, "the outbox was dropped, or is another table than before");
    pg_session_lost(self, &error, now_us);
}

static void
learn(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    struct pg_tail *tail = &self->tail;
    struct look look;
    tail->look_outstanding = false;
    if (tail->look_stale) {
        tail->look_stale = false;
        return; /* the next look is due */
    }
    if (PQntuples(result) == 0) {
        outbox_is_gone(self, now_us);
        return;
    }
    tail->look_us = clock_on_beat_us(now_us, LOOK_INTERVAL_US, self->config->phase_us);
    decode(result, &look);
    recognise_server(self, &look);
    tell_excess(self, &look);
    if (tail->state == PG_TAIL_LOOKING) {
        begin_with(self, &look, now_us);
    } else if (tail->state == PG_TAIL_STREAMING || tail->state == PG_TAIL_OFF) {
        watch(self, &look, now_us);
    }
}

void
pg_tail_answer(struct source_postgres *self, const struct pg_request *request,
               const PGresult *result, uint64_t now_us)
{
    if (request->kind == PG_REQUEST_TAIL_LOOK) {
        learn(self, result, now_us);
    } else if (request->kind == PG_REQUEST_TAIL_HEARTBEAT) {
        self->tail.heartbeat_outstanding = false;
    } else if (request->kind == PG_REQUEST_EMITTED) {
        pg_emitted_answer(self, result, now_us);
    }
}
