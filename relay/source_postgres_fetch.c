#include <assert.h>
#include <string.h>

#include "relay/memory.h"
#include "relay/source_postgres_private.h"

/* After a row that was too large for the cheap statement, so many fetches count bytes. */
#define EXACT_FETCHES 32
/* An answer within this part of the lease is fast. */
#define STRETCH_FAST 64

static enum pg_statement
statement_of(const struct pg_fetch *fetch)
{
    switch (fetch->kind) {
    case FETCH_NEXT:
        return fetch->exact ? PG_FETCH_NEXT_EXACT : PG_FETCH_NEXT;
    case FETCH_HEADS:
        return PG_FETCH_HEADS;
    case FETCH_PRESENT: /* has a request of its own */
        break;
    }
    assert(false);
    return PG_FETCH_NEXT;
}

/* The cheap statement bounds the batch by bounding each row to its equal share. */
static int64_t
bytes_parameter(const struct pg_fetch *fetch)
{
    const bool share = fetch->kind == FETCH_NEXT && !fetch->exact;
    const uint64_t bytes = share ? fetch->bytes_max / fetch->rows_max : fetch->bytes_max;
    return bytes < INT64_MAX ? (int64_t)bytes : INT64_MAX;
}

/* A statement that walks over millions of dead rows behind somebody's long transaction (measured:
 * 0.25 to 3 us each) would outlast the lease, be given up and begin again for ever. So one statement
 * looks at a stretch of 10 us per id, and an empty stretch is followed by the next. Only of ids that
 * are final, though: elsewhere a row may become visible behind us and its successor before us, and
 * one statement must see both. */
static int64_t
stretch_usual(const struct source_postgres *self)
{
    return (int64_t)(self->config->takeover_us / 10);
}

static int64_t
stretch_end(const struct source_postgres *self)
{
    const int64_t start = self->fetch.after_id > 0 ? self->fetch.after_id : 0;
    return start < self->watermark.final_id - self->fetch.stretch ? start + self->fetch.stretch
                                                                  : INT64_MAX;
}

/* Where there is nothing, not even dead rows, an answer comes at once whatever the stretch: then it
 * doubles. Where it got slow, it is the usual one again. */
static void
adapt_stretch(struct source_postgres *self, uint64_t now_us)
{
    struct pg_fetch *fetch = &self->fetch;
    const bool fast = now_us - fetch->sent_us < self->config->takeover_us / STRETCH_FAST;
    if (!fast) {
        fetch->stretch = stretch_usual(self);
    } else if (fetch->stretch < INT64_MAX / 4 &&
               (fetch->stretch_max == 0 || fetch->stretch * 2 <= fetch->stretch_max)) {
        fetch->stretch *= 2;
    }
}

/* A stretch that outlasted the session would do so again: this far it never grows any more. */
void
pg_fetch_lost(struct source_postgres *self, uint64_t now_us)
{
    struct pg_fetch *fetch = &self->fetch;
    if (fetch->outstanding && fetch->stretch > stretch_usual(self) &&
        now_us - fetch->sent_us > self->config->takeover_us / 2) {
        fetch->stretch_max = fetch->stretch / 2;
    }
    fetch->outstanding = false;
    fetch->exact_left = 0;
}

static void
add_parameters(struct source_postgres *self, struct pg_parameters *parameters)
{
    struct pg_fetch *fetch = &self->fetch;
    const bool next = fetch->kind == FETCH_NEXT;
    if (next) {
        pg_parameters_int8(parameters, fetch->after_id);
    }
    pg_parameters_array(parameters, &fetch->ids);
    pg_parameters_int8(parameters,
                       (int64_t)fetch->rows_max + 1); /* one more says that it is not all */
    pg_parameters_int8(parameters, bytes_parameter(fetch));
    if (next) {
        pg_parameters_int8(parameters, fetch->stretch_end);
    }
    pg_parameters_int8(parameters, PG_MESSAGE_BYTES_MAX);
}

static void
send_fetch(struct source_postgres *self, uint64_t now_us)
{
    struct pg_fetch *fetch = &self->fetch;
    struct pg_parameters parameters = {.count = 0};
    fetch->stretch_end = fetch->kind == FETCH_NEXT ? stretch_end(self) : INT64_MAX;
    fetch->sent_us = now_us;
    add_parameters(self, &parameters);
    if (pg_request_send(self, statement_of(fetch), &parameters, now_us)) {
        pg_request_end(self, PG_REQUEST_FETCH, now_us); /* a loss was told */
    }
}

/* Ids of the log lie close together as a rule: then all of the range is read, and what was not asked for left out. */
static bool
is_dense(const struct fetch *fetch)
{
    return fetch->id_count > 1 &&
           (uint64_t)fetch->ids[fetch->id_count - 1] - (uint64_t)fetch->ids[0] <
               2 * (uint64_t)fetch->id_count;
}

void
pg_fetch_present_done(struct source_postgres *self)
{
    memory_free(self->present_asked);
    self->present_asked = NULL;
    self->present_asked_count = 0;
}

static enum pg_statement
add_present(struct source_postgres *self, const struct fetch *fetch,
            struct pg_parameters *parameters)
{
    pg_fetch_present_done(self);
    if (!is_dense(fetch)) {
        pg_parameters_encode(&self->present_ids, fetch->ids, fetch->id_count);
        pg_parameters_array(parameters, &self->present_ids);
        return PG_PRESENT;
    }
    self->present_asked = memory_array(fetch->id_count, sizeof(int64_t));
    self->present_asked_count = fetch->id_count;
    memcpy(self->present_asked, fetch->ids, fetch->id_count * sizeof(int64_t));
    pg_parameters_int8(parameters, fetch->ids[0]);
    pg_parameters_int8(parameters, fetch->ids[fetch->id_count - 1]);
    return PG_PRESENT_RANGE;
}

static void
ask_present(struct source_postgres *self, const struct fetch *fetch, uint64_t now_us)
{
    struct pg_parameters parameters = {.count = 0};
    const enum pg_statement statement = add_present(self, fetch, &parameters);
    if (pg_request_send(self, statement, &parameters, now_us)) {
        pg_request_end(self, PG_REQUEST_PRESENT, now_us); /* a loss was told */
    }
}

void
pg_fetch_ask(struct source_postgres *self, const struct fetch *fetch, uint64_t now_us)
{
    struct pg_fetch *mine = &self->fetch;
    if (fetch->kind == FETCH_PRESENT) {
        ask_present(self, fetch, now_us);
        return;
    }
    assert(!mine->outstanding && fetch->rows_max > 0 && fetch->bytes_max > 0);
    mine->outstanding = true;
    mine->kind = fetch->kind;
    mine->after_id = fetch->after_id;
    mine->rows_max = fetch->rows_max;
    mine->bytes_max = fetch->bytes_max;
    mine->exact = mine->exact_left > 0;
    mine->stretch = stretch_usual(self);
    pg_parameters_encode(&mine->ids, fetch->ids, fetch->id_count);
    send_fetch(self, now_us);
}

/* Whether the cheap statement met a row above its share. */
static bool
was_cut(const struct pg_fetch *fetch, const struct batch *batch)
{
    return fetch->kind == FETCH_NEXT && !fetch->exact && !batch->complete &&
           batch->count < fetch->rows_max;
}

/* What the answer teaches the next fetch: large rows seldom come alone. */
static void
learn(struct pg_fetch *fetch, const struct batch *batch)
{
    if (fetch->kind == FETCH_NEXT && fetch->exact_left > 0) {
        fetch->exact_left--;
    }
    if (was_cut(fetch, batch)) {
        fetch->exact_left = EXACT_FETCHES;
    }
}

/* True if there is nothing to deliver yet: then *fetch is what to ask instead. */
static bool
must_ask_again(struct pg_fetch *fetch, struct batch *batch)
{
    const bool cut = !batch->complete;
    if (fetch->stretch_end < INT64_MAX) {
        batch->complete = false;
    }
    if (batch->count > 0 || batch->complete) {
        return false;
    }
    if (cut) {
        fetch->exact = true;
    } else {
        fetch->after_id = fetch->stretch_end;
    }
    return true;
}

void
pg_fetch_answer_take(struct source_postgres *self, PGresult *result, uint64_t now_us)
{
    struct pg_fetch *fetch = &self->fetch;
    struct error error;
    struct batch *batch = pg_rows_decode_take(result, fetch->rows_max, &error);
    if (batch == NULL) {
        pg_session_lost(self, &error, now_us);
        return;
    }
    learn(fetch, batch);
    if (must_ask_again(fetch, batch)) {
        batch_free(batch);
        adapt_stretch(self, now_us);
        pg_event_push(self, SOURCE_ALIVE); /* a walk over many dead rows is long */
        send_fetch(self, now_us);
        return;
    }
    fetch->outstanding = false;
    pg_event_push(self, SOURCE_ROWS)->batch = batch;
}

struct source_event *
pg_fetch_tell_ids(struct source_postgres *self, enum source_event_type type, const PGresult *result)
{
    struct source_event *event = pg_event_push(self, type);
    event->count = (size_t)PQntuples(result);
    if (event->count > 0) {
        event->ids = memory_array(event->count, sizeof(*event->ids));
    }
    for (size_t i = 0; i < event->count; i++) {
        event->ids[i] = pg_rows_int8(result, (int)i, 0);
    }
    return event;
}

/* Both are ascending. */
static size_t
keep_asked(int64_t *ids, size_t count, const int64_t *asked, size_t asked_count)
{
    size_t kept = 0;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        while (at < asked_count && asked[at] < ids[i]) {
            at++;
        }
        if (at < asked_count && asked[at] == ids[i]) {
            ids[kept++] = ids[i];
        }
    }
    return kept;
}

void
pg_fetch_present_answer(struct source_postgres *self, const PGresult *result)
{
    struct source_event *event = pg_fetch_tell_ids(self, SOURCE_PRESENT, result);
    if (self->present_asked != NULL) {
        event->count =
            keep_asked(event->ids, event->count, self->present_asked, self->present_asked_count);
        pg_fetch_present_done(self);
    }
}
