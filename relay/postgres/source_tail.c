#include "relay/postgres/source_tail.h"

#include <assert.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "relay/postgres/source_private.h"

/* Wait after the slot was dropped because it retained too much, until it is created again. */
#define BUDGET_INITIAL_US (60 * CLOCK_S_US)
#define BUDGET_MAX_US (3600 * CLOCK_S_US)

void
pg_tail_init(struct source_postgres *self)
{
    self->tail.state = PG_TAIL_OFF;
    backoff_init(&self->tail.budget, BUDGET_INITIAL_US, BUDGET_MAX_US);
}

void
pg_tail_name(struct source_postgres *self, const char *schema)
{
    struct pg_tail *tail = &self->tail;
    postgres_slot_name(self->config->slot, PQdb(self->connection), schema, tail->slot);
    postgres_publication_name(self->config->publication, schema, tail->publication);
    (void)snprintf(tail->prefix, sizeof(tail->prefix), "outbox.%s", schema); /* fits */
}

struct source_notice *
pg_tail_notice(struct source_postgres *self, const char *format, ...)
{
    struct source_notice *notice = &pg_event_push(self, SOURCE_NOTICE)->notice;
    va_list arguments;
    va_start(arguments, format);
    notice->error.class = ERROR_TRANSIENT;
    (void)vsnprintf(notice->error.text, sizeof(notice->error.text), format,
                    arguments); /* cut is fine */
    va_end(arguments);
    return notice;
}

static void
not_tailing(struct source_postgres *self, const struct error *error)
{
    pg_event_push(self, SOURCE_NOT_TAILING)->not_tailing = *error;
}

static void
close_connection(struct pg_tail *tail)
{
    password_end(&tail->password);
    PQfinish(tail->connection);
    tail->connection = NULL;
    tail->wants_write = false;
    tail->emitted.count = 0; /* the log delivers them again */
    tail->state = PG_TAIL_OFF;
}

void
pg_tail_failed(struct source_postgres *self, const struct error *error)
{
    struct pg_tail *tail = &self->tail;
    close_connection(tail);
    if (tail->read_slot) {
        not_tailing(self, error);
    } else {
        pg_tail_notice(self, "replication slot \"%s\" is to be dropped, but: %s", tail->slot,
                       error->text);
    }
}

void
pg_tail_stop(struct source_postgres *self)
{
    struct pg_tail *tail = &self->tail;
    pg_tail_end(self);
    tail->look_outstanding = false;
    tail->look_stale = false;
    tail->heartbeat_outstanding = false;
    tail->emitted.out = false;
    tail->emitted.written = 0;
    tail->look_us = 0;
}

static bool
may_begin(struct source_postgres *self, uint64_t now_us)
{
    struct error error;
    if (self->config->mode == SOURCE_MODE_POLL) {
        error_set(&error, ERROR_CONFIG, "mode is poll");
    } else if (now_us < self->tail.not_before_us) {
        error_set(&error, ERROR_TRANSIENT,
                  "the slot held back more than wal_retain_max of log and was dropped; not made "
                  "anew yet");
    } else {
        return true;
    }
    not_tailing(self, &error);
    return false;
}

void
pg_tail_begin(struct source_postgres *self, uint64_t position, uint64_t now_us)
{
    struct pg_tail *tail = &self->tail;
    if (!may_begin(self, now_us)) {
        return;
    }
    close_connection(tail); /* of an earlier tail_begin, or one that was to drop the slot */
    tail->state = PG_TAIL_LOOKING;
    tail->read_slot = true;
    tail->position = position;
    tail->begun_us = now_us;
    tail->look_us = now_us;
    tail->look_stale = tail->look_outstanding;
    pg_tail_look(self, now_us);
}

void
pg_tail_end(struct source_postgres *self)
{
    struct pg_tail *tail = &self->tail;
    if (tail->state == PG_TAIL_STREAMING) {
        pg_stream_end(self);
    }
    close_connection(tail);
}

void
pg_tail_more(struct source_postgres *self, uint32_t rows_max, uint64_t bytes_max)
{
    struct pg_stream *stream = &self->tail.stream;
    if (self->tail.state == PG_TAIL_STREAMING) {
        assert(!stream->asked && rows_max > 0);
        stream->asked = true;
        stream->rows_max = rows_max;
        stream->bytes_max = bytes_max;
    }
}

void
pg_tail_safe(struct source_postgres *self, uint64_t position)
{
    struct pg_stream *stream = &self->tail.stream;
    if (self->tail.state == PG_TAIL_STREAMING && position > stream->safe) {
        stream->safe = position;
    }
}

void
pg_tail_poll(const struct source_postgres *self, struct pollfd *ret_poll)
{
    const struct pg_tail *tail = &self->tail;
    short events = POLLIN;
    if (tail->state == PG_TAIL_CONNECTING) {
        events = tail->polling == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    } else if (tail->state == PG_TAIL_STREAMING && !pg_stream_reads(self)) {
        events = POLLRDHUP; /* the server keeps data that is not wanted yet */
    }
    if (tail->wants_write) {
        events |= POLLOUT;
    }
    *ret_poll = (struct pollfd){
        .fd = tail->connection != NULL ? PQsocket(tail->connection) : password_fd(&tail->password),
        .events = events,
    };
}

uint64_t
pg_tail_deadline_us(const struct source_postgres *self)
{
    const struct pg_tail *tail = &self->tail;
    const uint64_t look_us = pg_tail_look_deadline_us(self);
    switch (tail->state) {
    case PG_TAIL_OFF:
    case PG_TAIL_LOOKING:
    case PG_TAIL_ASKING: /* the command has a limit of its own */
        return look_us;
    case PG_TAIL_STREAMING:
        return clock_earlier_us(look_us, pg_stream_deadline_us(self));
    case PG_TAIL_CREATING:
        return clock_earlier_us(look_us, clock_earlier_us(tail->waits_us, tail->deadline_us));
    case PG_TAIL_CONNECTING:
    case PG_TAIL_OPENING:
    case PG_TAIL_DROPPING:
    case PG_TAIL_MARKING:
    case PG_TAIL_STARTING:
        return clock_earlier_us(look_us, tail->deadline_us);
    }
    assert(false);
    return 0;
}

bool
pg_tail_flush(struct source_postgres *self)
{
    struct pg_tail *tail = &self->tail;
    const int left = PQflush(tail->connection);
    tail->wants_write = left > 0;
    if (left < 0) {
        struct error error;
        pg_tail_why(self, &error);
        pg_tail_failed(self, &error);
    }
    return left >= 0;
}

void
pg_tail_why(const struct source_postgres *self, struct error *reterr)
{
    const char *words = PQerrorMessage(self->tail.connection);
    error_set(reterr, ERROR_CONNECTION, "the connection that reads the log broke: %.*s",
              (int)strcspn(words, "\n"), words);
}

/* Codes: PostgreSQL manual, appendix A. */
static bool
blames_slot(const char *sqlstate)
{
    static const char *const codes[] = {
        "42704", /* the publication did not exist at the slot's position in the log */
        "55000", /* the slot was invalidated */
        "58P01", /* a file of the log is gone */
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (strcmp(sqlstate, codes[i]) == 0) {
            return true;
        }
    }
    return false;
}

void
pg_tail_refused(struct source_postgres *self, const PGresult *result, struct error *reterr)
{
    struct pg_tail *tail = &self->tail;
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (sqlstate == NULL) {
        pg_tail_why(self, reterr);
    } else if (blames_slot(sqlstate)) {
        (void)snprintf(tail->spoiled, sizeof(tail->spoiled), "%s",
                       PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)); /* cut is fine */
        error_set(reterr, ERROR_TRANSIENT, "replication slot \"%s\" can't be read any more: %s",
                  tail->slot, tail->spoiled);
    } else {
        pg_error_from_result(result, reterr);
    }
}

void
pg_tail_process(struct source_postgres *self, short revents, uint64_t now_us)
{
    struct pg_tail *tail = &self->tail;
    if (tail->wants_write && (revents & POLLOUT) != 0 && tail->state != PG_TAIL_CONNECTING &&
        !pg_tail_flush(self)) {
        return;
    }
    if (tail->state == PG_TAIL_STREAMING) {
        pg_stream_process(self, revents, now_us);
    } else if (tail->state == PG_TAIL_ASKING) {
        pg_tail_open_ask(self, revents, now_us);
    } else if (tail->connection != NULL) {
        pg_tail_open_process(self, revents, now_us);
    }
    pg_tail_look(self, now_us);
}
