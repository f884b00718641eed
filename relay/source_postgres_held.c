#include <assert.h>

#include "base/clock.h"
#include "relay/memory.h"
#include "relay/source_postgres_private.h"

/* Times can be changed by anybody, and clocks can go back: so now and then all is looked at, the less
 * often the longer it takes. */
#define FULL_WAKE_INTERVAL_US (10 * CLOCK_S_US)
#define FULL_WAKE_SHARE 50

enum hold_array { HOLD_IDS, HOLD_STATES, HOLD_SKIPPED, HOLD_ATTEMPTS, HOLD_RETRIES, HOLD_REASONS };

static void
encode_holds(struct source_postgres *self, const struct hold *holds, size_t count)
{
    struct buffer *arrays = self->hold_arrays;
    const bool utf8 = pg_request_takes_utf8(self);
    for (size_t i = 0; i < HOLD_REASONS; i++) {
        pg_array_begin_int8(&arrays[i], count);
    }
    pg_array_begin_text(&arrays[HOLD_REASONS], count);
    for (size_t i = 0; i < count; i++) {
        const struct hold *hold = &holds[i];
        pg_array_put_int8(&arrays[HOLD_IDS], hold->id);
        pg_array_put_int8(&arrays[HOLD_STATES], (int64_t)hold->state);
        pg_array_put_int8(&arrays[HOLD_SKIPPED], hold->skipped);
        pg_array_put_int8(&arrays[HOLD_ATTEMPTS],
                          hold->attempts < INT32_MAX ? hold->attempts : INT32_MAX);
        pg_array_put_int8(&arrays[HOLD_RETRIES], pg_parameters_span_us(hold->retry_after_us));
        pg_array_put_text(&arrays[HOLD_REASONS], hold->reason, utf8);
    }
}

void
pg_held_hold(struct source_postgres *self, const struct hold *holds, size_t count, uint64_t now_us)
{
    struct pg_parameters parameters = {.count = 0};
    encode_holds(self, holds, count);
    for (size_t i = 0; i < PG_HOLD_ARRAYS; i++) {
        pg_parameters_array(&parameters, &self->hold_arrays[i]);
    }
    if (pg_request_send(self, PG_HOLD, &parameters, now_us)) {
        pg_request_end(self, PG_REQUEST_HOLD, now_us); /* a loss was told */
    }
}

/* Two transactions: in one it would lock first the confirmed heads and then what waits, which may have lower ids, while
 * operators lock in the order of ids. If only the first comes about, those waiting have no head, and the heads tell. */
void
pg_held_release(struct source_postgres *self, const struct release *release, uint64_t now_us)
{
    struct pg_parameters confirmed = {.count = 0};
    struct pg_parameters waiting = {.count = 0};
    const bool keep = self->config->keep_sent_us > 0;
    pg_parameters_encode(&self->release_ids, release->ids, release->id_count);
    pg_parameters_encode(&self->release_keys, release->keys, release->key_count);
    pg_parameters_array(&confirmed, &self->release_ids);
    pg_parameters_array(&waiting, &self->release_keys);
    pg_parameters_int8(&waiting, release->rows_max);
    if (pg_request_send(self, keep ? PG_SETTLE_HELD_KEEP : PG_SETTLE_HELD, &confirmed, now_us) &&
        pg_request_end(self, PG_REQUEST_SETTLE_HELD, now_us) &&
        pg_request_send(self, PG_RELEASE, &waiting, now_us)) {
        pg_request_end(self, PG_REQUEST_RELEASE, now_us); /* a loss was told */
    }
}

void
pg_held_heads(struct source_postgres *self, uint64_t now_us)
{
    const struct pg_parameters none = {.count = 0};
    if (pg_request_send(self, PG_HEADS, &none, now_us)) {
        pg_request_end(self, PG_REQUEST_HEADS, now_us); /* a loss was told */
    }
}

void
pg_held_wake(struct source_postgres *self, uint32_t rows_max, uint64_t now_us)
{
    const struct pg_parameters none = {.count = 0};
    struct pg_parameters parameters = {.count = 0};
    self->wake_in_full = self->wake_from_us == INT64_MIN || now_us >= self->wake_full_us;
    pg_parameters_int8(&parameters, rows_max);
    if (self->wake_in_full) {
        pg_parameters_null(&parameters);
    } else {
        pg_parameters_int8(&parameters, self->wake_from_us);
    }
    if (pg_request_send(self, PG_WAKE, &parameters, now_us) &&
        pg_request_send(self, PG_ACTS, &none, now_us)) {
        pg_request_end(self, PG_REQUEST_WAKE, now_us); /* a loss was told */
    }
}

static void
learn_released(struct source_postgres *self, const PGresult *result)
{
    struct source_event *event = pg_event_push(self, SOURCE_RELEASED);
    event->count = (size_t)pg_rows_int8(result, 0, 0);
    if (event->count > 0) {
        event->first_id = pg_rows_int8(result, 0, 1);
        event->last_id = pg_rows_int8(result, 0, 2);
    }
}

static struct head
head_at(const PGresult *result, int row)
{
    const int64_t retry_in_us = pg_rows_int8(result, row, 6);
    return (struct head){
        .id = pg_rows_int8(result, row, 0),
        .key_hash = pg_rows_int8(result, row, 1),
        .ordered = pg_rows_bool(result, row, 2),
        .dead = pg_rows_bool(result, row, 3),
        .orphans = pg_rows_bool(result, row, 4),
        .attempts = (uint32_t)pg_rows_int4(result, row, 5),
        .retry_in_us = retry_in_us == INT64_MAX ? CLOCK_NEVER_US : (uint64_t)retry_in_us,
    };
}

static void
learn_heads(struct source_postgres *self, const PGresult *result)
{
    struct source_event *event = pg_event_push(self, SOURCE_HEADS);
    event->count = (size_t)PQntuples(result);
    if (event->count > 0) {
        event->heads = memory_array(event->count, sizeof(*event->heads));
    }
    for (size_t i = 0; i < event->count; i++) {
        event->heads[i] = head_at(result, (int)i);
    }
}

static void
learn_woken(struct source_postgres *self, uint64_t sent_us, const PGresult *result, uint64_t now_us)
{
    const uint64_t rest_us = (now_us - sent_us) * FULL_WAKE_SHARE;
    self->woken.count = (size_t)pg_rows_int8(result, 0, 0);
    self->woken.next_in_us =
        PQgetisnull(result, 0, 1) ? CLOCK_NEVER_US : (uint64_t)pg_rows_int8(result, 0, 1);
    self->wake_from_us = pg_rows_int8(result, 0, 2);
    if (self->wake_in_full) {
        self->wake_full_us =
            now_us + (rest_us > FULL_WAKE_INTERVAL_US ? rest_us : FULL_WAKE_INTERVAL_US);
    }
}

/* An operator may have made something due at the time at which the act began. */
static void
learn_acts(struct source_postgres *self, const PGresult *result)
{
    struct source_event *event = pg_event_push(self, SOURCE_WOKEN);
    event->count = self->woken.count;
    event->next_in_us = self->woken.next_in_us;
    event->acts = pg_rows_bool(result, 0, 0);
    if (event->acts) {
        self->wake_from_us = INT64_MIN;
    }
}

void
pg_held_answer(struct source_postgres *self, const struct pg_request *request,
               const PGresult *result, uint64_t now_us)
{
    if (request->kind == PG_REQUEST_HOLD) {
        pg_fetch_tell_ids(self, SOURCE_HELD, result);
    } else if (request->kind == PG_REQUEST_HEADS) {
        learn_heads(self, result);
    } else if (request->kind == PG_REQUEST_WAKE) {
        if (request->answers == 1) {
            learn_woken(self, request->sent_us, result, now_us);
        } else {
            learn_acts(self, result);
        }
    } else {
        assert(request->kind == PG_REQUEST_RELEASE);
        learn_released(self, result);
    }
}
