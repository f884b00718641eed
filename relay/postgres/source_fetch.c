#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/postgres/source_private.h"

/* After a row that was too large for the cheap statement, so many fetches count bytes. */
#define EXACT_FETCHES 32
/* An answer within this part of the lease is fast. */
#define STRETCH_FAST 64
/* Parts of the lease: an answer that takes longer is halved from then on, one within this is doubled again. */
#define SLOW 4
#define FAST 16
/* One row alone may take so many leases. */
#define PATIENCE 20
#define SLOW_TOLD_US (60 * CLOCK_S_US)
/* So many sessions in a row must end over one row, to call it that row's fault. */
#define LOSSES_MAX 3
/* A held message that could not be read is not read again for so long, but for an operator. */
#define UNREAD_US (600 * CLOCK_S_US)

static size_t
kind_of(const struct pg_fetch *fetch)
{
    return fetch->kind == FETCH_HEADS ? 1 : 0;
}

static uint64_t
halved(uint64_t value, uint32_t halvings)
{
    value = halvings < 64 ? value >> halvings : 0;
    return value > 0 ? value : 1;
}

static uint32_t
rows_of(const struct pg_fetch *fetch)
{
    return (uint32_t)halved(fetch->rows_max, fetch->halvings[kind_of(fetch)]);
}

/* One row, and not even the next is looked at: if this fails, it is this row. */
static bool
is_alone(const struct pg_fetch *fetch)
{
    return fetch->halvings[kind_of(fetch)] > 0 && rows_of(fetch) == 1;
}

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
    const uint64_t all = halved(fetch->bytes_max, fetch->halvings[kind_of(fetch)]);
    const uint64_t bytes = share ? all / rows_of(fetch) : all;
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

/* ---- what cannot be read -------------------------------------------------------------------------------- */

/* What the server refuses, what takes it too long, and what a session ends over, is asked for again by halves, down to one
 * row. If that cannot be read either, its texts are not: it comes withheld, with the reason. If even that fails, it is no
 * row's fault. */

static void
halve(struct pg_fetch *fetch)
{
    if (!is_alone(fetch)) {
        fetch->halvings[kind_of(fetch)]++;
    }
}

static void
read_bare(struct pg_fetch *fetch, const char *why)
{
    (void)snprintf(fetch->trouble, sizeof(fetch->trouble), "it cannot be read: %s",
                   why); /* cut is fine */
    fetch->bare = true;
}

static void send_fetch(struct source_postgres *self, uint64_t now_us);

bool
pg_fetch_refused(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    struct pg_fetch *fetch = &self->fetch;
    struct error error;
    if (fetch->bare || !pg_error_may_be_of_row(result, false)) {
        return false;
    }
    pg_error_from_result(result, &error);
    if (is_alone(fetch)) {
        read_bare(fetch, error.text);
    } else {
        halve(fetch);
    }
    pg_event_alive(self);
    send_fetch(self, now_us);
    return true;
}

/* An end that the server has announced is nobody's fault. Of others, one row is blamed only after some in a row: then it
 * costs it one of its attempts. */
static void
learn_from_loss(const struct source_postgres *self, struct pg_fetch *fetch,
                const struct error *error)
{
    if (self->fatal_sqlstate[0] != '\0' || error->class == ERROR_CONFIG || fetch->bare) {
        return;
    }
    if (!is_alone(fetch)) {
        halve(fetch);
    } else if (++fetch->losses[kind_of(fetch)] >= LOSSES_MAX) {
        read_bare(fetch, error->text);
    }
}

/* A stretch that outlasted the session would do so again: this far it never grows any more. */
void
pg_fetch_lost(struct source_postgres *self, const struct error *error, uint64_t now_us)
{
    struct pg_fetch *fetch = &self->fetch;
    fetch->exact_left = 0;
    if (!fetch->outstanding) {
        return;
    }
    fetch->outstanding = false;
    if (fetch->stretch > stretch_usual(self) &&
        now_us - fetch->sent_us > self->config->takeover_us / 2) {
        fetch->stretch_max = fetch->stretch / 2;
    }
    learn_from_loss(self, fetch, error);
}

/* Once while it lasts, and once a minute: the size goes up and down around what fits. */
static void
tell_slow(struct source_postgres *self, const struct batch *batch, uint64_t took_us,
          uint64_t now_us)
{
    struct pg_fetch *fetch = &self->fetch;
    uint64_t bytes = 0;
    for (size_t i = 0; i < batch->count; i++) {
        bytes += batch->rows[i].payload.size + batch->rows[i].headers.size;
    }
    const bool news = fetch->slow[0] == '\0' && now_us >= fetch->slow_told_us;
    (void)snprintf(fetch->slow, sizeof(fetch->slow),
                   "slowly: %zu rows, with %" PRIu64 " bytes of payload and headers, took the "
                   "database or the link to it %.1f s; less is asked for at a time",
                   batch->count, bytes, (double)took_us / 1e6); /* fits */
    if (news) {
        fetch->slow_told_us = now_us + SLOW_TOLD_US;
        pg_tail_notice(self, "the table is read %s", fetch->slow);
    }
}

/* Batches are to take a small part of the lease, so that all else that is asked behind them is answered in time. */
static void
adapt_size(struct source_postgres *self, const struct batch *batch, uint64_t now_us)
{
    struct pg_fetch *fetch = &self->fetch;
    const uint64_t took_us = now_us - fetch->sent_us;
    if (took_us > self->config->takeover_us / SLOW && batch->count > 1) {
        halve(fetch);
        tell_slow(self, batch, took_us, now_us);
    } else if (took_us < self->config->takeover_us / FAST && fetch->halvings[kind_of(fetch)] > 0) {
        fetch->halvings[kind_of(fetch)]--;
        if (fetch->halvings[kind_of(fetch)] == 0) {
            fetch->slow[0] = '\0';
        }
    }
}

/* It is not read again for a while: each time would begin by halves. */
static void
remember_unread(struct pg_fetch *fetch, const struct batch *batch, uint64_t now_us)
{
    if (fetch->kind != FETCH_HEADS || batch->count != 1) {
        return; /* of the outbox it may have been another one, which came meanwhile */
    }
    struct pg_unread *unread = &fetch->unread[fetch->unread_next++ % PG_UNREAD_MAX];
    unread->id = batch->rows[0].id;
    unread->until_us = now_us + UNREAD_US;
    memcpy(unread->reason, fetch->trouble, sizeof(unread->reason));
}

void
pg_fetch_forget_unread(struct source_postgres *self)
{
    for (size_t i = 0; i < PG_UNREAD_MAX; i++) {
        self->fetch.unread[i].until_us = 0;
    }
}

static void
add_unread(struct source_postgres *self, struct pg_parameters *parameters, uint64_t now_us)
{
    struct pg_fetch *fetch = &self->fetch;
    size_t count = 0;
    for (size_t i = 0; i < PG_UNREAD_MAX; i++) {
        count += fetch->unread[i].until_us > now_us;
    }
    pg_array_begin_int8(&fetch->unread_ids, count);
    pg_array_begin_text(&fetch->unread_reasons, count);
    for (size_t i = 0; i < PG_UNREAD_MAX; i++) {
        if (fetch->unread[i].until_us > now_us) {
            pg_array_put_int8(&fetch->unread_ids, fetch->unread[i].id);
            pg_array_put_text(&fetch->unread_reasons, fetch->unread[i].reason,
                              pg_request_takes_utf8(self));
        }
    }
    pg_parameters_array(parameters, &fetch->unread_ids);
    pg_parameters_array(parameters, &fetch->unread_reasons);
}

/* ---- what is asked -------------------------------------------------------------------------------------- */

static void
add_parameters(struct source_postgres *self, struct pg_parameters *parameters, uint64_t now_us)
{
    struct pg_fetch *fetch = &self->fetch;
    const bool next = fetch->kind == FETCH_NEXT;
    if (next) {
        pg_parameters_int8(parameters, fetch->after_id);
    }
    pg_parameters_array(parameters, &fetch->ids);
    /* one more says that it is not all */
    pg_parameters_int8(parameters, (int64_t)rows_of(fetch) + (is_alone(fetch) ? 0 : 1));
    pg_parameters_int8(parameters, bytes_parameter(fetch));
    if (next) {
        pg_parameters_int8(parameters, fetch->stretch_end);
        if (!fetch->exact) {
            return;
        }
    }
    pg_parameters_int8(parameters, PG_MESSAGE_BYTES_MAX);
    pg_parameters_text(parameters, fetch->bare ? fetch->trouble : NULL);
    if (!next) {
        add_unread(self, parameters, now_us);
    }
}

/* A row alone may take long: bytes that come are its sign of life. */
static bool
send_patience(struct source_postgres *self, uint64_t now_us)
{
    char timeout_ms[24];
    struct pg_parameters parameters = {.count = 0};
    self->fetch.patient = is_alone(&self->fetch) && !self->fetch.bare;
    if (!self->fetch.patient) {
        return true;
    }
    (void)snprintf(timeout_ms, sizeof(timeout_ms), "%" PRIu64,
                   PATIENCE * self->config->takeover_us / CLOCK_MS_US); /* fits */
    pg_parameters_text(&parameters, timeout_ms);
    return pg_request_send(self, PG_PATIENCE, &parameters, now_us);
}

static void
send_fetch(struct source_postgres *self, uint64_t now_us)
{
    struct pg_fetch *fetch = &self->fetch;
    struct pg_parameters parameters = {.count = 0};
    fetch->stretch_end = fetch->kind == FETCH_NEXT ? stretch_end(self) : INT64_MAX;
    fetch->sent_us = now_us;
    fetch->exact |= is_alone(fetch) || fetch->bare;
    pg_text_clean(fetch->trouble, strlen(fetch->trouble), pg_request_takes_utf8(self));
    add_parameters(self, &parameters, now_us);
    if (send_patience(self, now_us) &&
        pg_request_send(self, statement_of(fetch), &parameters, now_us)) {
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
    mine->bare = mine->losses[kind_of(mine)] >= LOSSES_MAX;
    mine->stretch = stretch_usual(self);
    pg_parameters_encode(&mine->ids, fetch->ids, fetch->id_count);
    send_fetch(self, now_us);
}

/* Whether the cheap statement met a row above its share. */
static bool
was_cut(const struct pg_fetch *fetch, const struct batch *batch)
{
    return fetch->kind == FETCH_NEXT && !fetch->exact && !batch->complete &&
           batch->count < rows_of(fetch);
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
    struct batch *batch = pg_rows_decode_take(result, rows_of(fetch), &error);
    if (batch == NULL) {
        pg_session_lost(self, &error, now_us);
        return;
    }
    learn(fetch, batch);
    batch->complete &= !is_alone(fetch) || batch->count == 0;
    if (fetch->bare) {
        remember_unread(fetch, batch, now_us);
    }
    fetch->bare = false;
    fetch->losses[kind_of(fetch)] = 0;
    adapt_size(self, batch, now_us);
    if (must_ask_again(fetch, batch)) {
        batch_free(batch);
        adapt_stretch(self, now_us);
        pg_event_alive(self); /* a walk over many dead rows is long */
        send_fetch(self, now_us);
        return;
    }
    fetch->outstanding = false;
    pg_event_push(self, SOURCE_ROWS)->rows = batch;
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
    struct source_present *present = &pg_event_push(self, SOURCE_PRESENT)->present;
    present->count = (size_t)PQntuples(result);
    if (present->count > 0) {
        present->ids = memory_array(present->count, sizeof(*present->ids));
    }
    for (size_t i = 0; i < present->count; i++) {
        present->ids[i] = pg_rows_int8(result, (int)i, 0);
    }
    if (self->present_asked != NULL) {
        present->count = keep_asked(present->ids, present->count, self->present_asked,
                                    self->present_asked_count);
        pg_fetch_present_done(self);
    }
}
