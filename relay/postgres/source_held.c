#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/postgres/source_private.h"

/* Anybody can change the times of messages, and clocks can go back. So from time to time all scheduled messages are
 * looked at, less often the longer that takes. */
#define FULL_WAKE_INTERVAL_US (10 * CLOCK_S_US)
#define FULL_WAKE_SHARE 50

enum hold_array { HOLD_IDS, HOLD_STATES, HOLD_SKIPPED, HOLD_ATTEMPTS, HOLD_RETRIES, HOLD_REASONS };

static void
encode_holds(struct source_postgres *self, const struct hold *holds, size_t count)
{
    struct buffer *arrays = self->hold.arrays;
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

/* ---- hold ----------------------------------------------------------------------------------------------- */

static void
send_hold(struct source_postgres *self, uint64_t now_us)
{
    struct pg_hold *hold = &self->hold;
    struct pg_parameters parameters = {.count = 0};
    encode_holds(self, hold->holds + hold->parts.at, hold->probing ? 0 : hold->parts.size);
    for (size_t i = 0; i < PG_HOLD_ARRAYS; i++) {
        pg_parameters_array(&parameters, &hold->arrays[i]);
    }
    if (pg_request_send(self, PG_HOLD, &parameters, now_us)) {
        pg_request_end(self, PG_REQUEST_HOLD, now_us); /* a loss was told */
    }
}

void
pg_held_hold(struct source_postgres *self, const struct hold *holds, size_t count, uint64_t now_us)
{
    struct pg_hold *hold = &self->hold;
    hold->holds = holds;
    hold->probing = false;
    hold->missing = memory_array(count, sizeof(*hold->missing));
    hold->missing_count = 0;
    source_failures_clear(&hold->failures);
    halving_begin(&hold->parts, count);
    send_hold(self, now_us);
}

static void
end_hold(struct source_postgres *self)
{
    struct pg_hold *hold = &self->hold;
    struct source_held *held = &pg_event_push(self, SOURCE_HELD)->held;
    held->missing_count = hold->missing_count;
    held->missing = hold->missing;
    if (hold->missing_count == 0) {
        memory_free(hold->missing);
        held->missing = NULL;
    }
    hold->missing = NULL;
    held->failures = source_failures_take(&hold->failures);
}

static void
learn_hold(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    struct pg_hold *hold = &self->hold;
    for (int i = 0; i < PQntuples(result); i++) {
        hold->missing[hold->missing_count++] = pg_rows_int8(result, i, 0);
    }
    if (hold->probing) {
        hold->probing = false;
        source_failures_add(&hold->failures, hold->holds[hold->parts.at].id, 0, hold->error.text);
    }
    if (halving_taken(&hold->parts)) {
        send_hold(self, now_us);
    } else {
        end_hold(self);
    }
}

/* If moving no row fails too, no row is to blame. */
static bool
refuse_hold(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    struct pg_hold *hold = &self->hold;
    if (hold->probing || !pg_error_may_be_of_row(result, true)) {
        return false;
    }
    if (!halving_refused(&hold->parts)) {
        hold->probing = true;
        pg_error_from_result(result, &hold->error);
    }
    send_hold(self, now_us);
    return true;
}

/* ---- release -------------------------------------------------------------------------------------------- */

/* Two transactions. A single one would lock first the confirmed heads and then the waiting messages, which may have
 * lower ids, while operators lock in the order of ids: a deadlock. If only the first one is carried out, the waiting
 * messages have no head, which the next heads report. */

static void
send_confirmed(struct source_postgres *self, uint64_t now_us)
{
    struct pg_release *release = &self->release;
    struct pg_parameters confirmed = {.count = 0};
    pg_parameters_encode(&release->ids, release->asked.ids + release->confirmed.at,
                         release->confirmed_probing ? 0 : release->confirmed.size);
    pg_parameters_array(&confirmed, &release->ids);
    if (pg_recording_send(self, &release->recording, PG_SETTLE_HELD, PG_SETTLE_HELD_KEEP,
                          &confirmed, now_us)) {
        pg_request_end(self, PG_REQUEST_SETTLE_HELD, now_us); /* a loss was told */
    }
}

static void
begin_confirmed(struct source_postgres *self, uint64_t now_us)
{
    pg_recording_begin(self, &self->release.recording, now_us);
    send_confirmed(self, now_us);
}

static void
send_release(struct source_postgres *self, enum pg_statement statement, uint64_t now_us)
{
    struct pg_release *release = &self->release;
    struct pg_parameters waiting = {.count = 0};
    pg_parameters_encode(&release->keys, release->asked.keys,
                         release->probing ? 0 : release->asked.key_count);
    pg_parameters_array(&waiting, &release->keys);
    if (statement == PG_RELEASE) {
        pg_parameters_int8(&waiting, (int64_t)release->limit.size);
    }
    if (pg_request_send(self, statement, &waiting, now_us)) {
        pg_request_end(self,
                       statement == PG_RELEASE ? PG_REQUEST_RELEASE : PG_REQUEST_RELEASE_FIRST,
                       now_us); /* a loss was told */
    }
}

/* Sends both at once; each goes on independently. */
void
pg_held_release(struct source_postgres *self, const struct release *asked, uint64_t now_us)
{
    struct pg_release *release = &self->release;
    release->asked = *asked;
    release->confirmed_out = asked->id_count > 0;
    release->confirmed_probing = false;
    release->burying = false;
    release->out = true;
    release->probing = false;
    source_failures_clear(&release->failures);
    halving_begin(&release->confirmed, asked->id_count);
    halving_begin(&release->limit, asked->rows_max);
    if (release->confirmed_out) {
        begin_confirmed(self, now_us);
    }
    if (self->state == PG_OWNED) {
        send_release(self, PG_RELEASE, now_us);
    }
}

static void
tell_released(struct source_postgres *self)
{
    struct pg_release *release = &self->release;
    if (release->out || release->confirmed_out) {
        return;
    }
    pg_event_push(self, SOURCE_RELEASED)->released = (struct source_released){
        .count = release->limit.at,
        .first_id = release->first_id,
        .last_id = release->last_id,
        .complete = release->complete,
        .failures = source_failures_take(&release->failures),
    };
}

static void
end_release(struct source_postgres *self, bool complete)
{
    self->release.out = false;
    self->release.complete = complete;
    tell_released(self);
}

/* A message that went out but cannot be deleted is marked dead, so that it is not sent again. */
static void
bury(struct source_postgres *self, uint64_t now_us)
{
    struct pg_release *release = &self->release;
    struct pg_parameters parameters = {.count = 0};
    const struct hold dead = {.id = release->asked.ids[release->confirmed.at],
                              .state = HELD_DEAD,
                              .skipped = true,
                              .reason = "it went out, but cannot be deleted"};
    encode_holds(self, &dead, 1);
    for (size_t i = 0; i < PG_HOLD_ARRAYS; i++) {
        pg_parameters_array(&parameters, &self->hold.arrays[i]);
    }
    release->burying = true;
    if (pg_request_send(self, PG_HOLD, &parameters, now_us)) {
        pg_request_end(self, PG_REQUEST_SETTLE_HELD, now_us); /* a loss was told */
    }
}

static void
learn_confirmed(struct source_postgres *self, uint64_t now_us)
{
    struct pg_release *release = &self->release;
    release->burying = false;
    pg_recording_done(self, &release->recording, now_us);
    if (release->confirmed_probing) {
        release->confirmed_probing = false;
        bury(self, now_us);
    } else if (halving_taken(&release->confirmed)) {
        begin_confirmed(self, now_us);
    } else {
        release->confirmed_out = false;
        tell_released(self);
    }
}

static bool
refuse_confirmed(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    struct pg_release *release = &self->release;
    if (!release->burying && pg_recording_refused(&release->recording, result)) {
        send_confirmed(self, now_us);
        return true;
    }
    if (release->confirmed_probing || !pg_error_may_be_of_row(result, true)) {
        return false;
    }
    if (release->burying) { /* then the message will be sent again */
        learn_confirmed(self, now_us);
        return true;
    }
    if (halving_refused(&release->confirmed)) {
        begin_confirmed(self, now_us);
        return true;
    }
    release->confirmed_probing = true;
    send_confirmed(self, now_us);
    return true;
}

static void
learn_released(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    struct pg_release *release = &self->release;
    const size_t count = (size_t)pg_rows_int8(result, 0, 0);
    const bool complete = count < release->limit.size;
    if (release->probing) {
        release->probing = false;
        send_release(self, PG_RELEASE_FIRST, now_us);
        return;
    }
    if (count > 0) {
        const int64_t first_id = pg_rows_int8(result, 0, 1);
        release->first_id =
            release->limit.at == 0 || first_id < release->first_id ? first_id : release->first_id;
        release->last_id = pg_rows_int8(result, 0, 2);
    }
    release->limit.size = count;
    if (halving_taken(&release->limit) && !complete) {
        send_release(self, PG_RELEASE, now_us);
    } else {
        end_release(self, complete);
    }
}

static void
learn_unreleased(struct source_postgres *self, const PGresult *result)
{
    struct pg_release *release = &self->release;
    if (PQntuples(result) > 0) {
        source_failures_add(&release->failures, pg_rows_int8(result, 0, 0),
                            pg_rows_int8(result, 0, 1), release->error.text);
    }
    end_release(self, false);
}

static bool
refuse_release(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    struct pg_release *release = &self->release;
    if (release->probing || !pg_error_may_be_of_row(result, true)) {
        return false;
    }
    if (!halving_refused(&release->limit)) {
        release->probing = true;
        pg_error_from_result(result, &release->error);
    }
    send_release(self, PG_RELEASE, now_us);
    return true;
}

/* ---- heads, wake ---------------------------------------------------------------------------------------- */

void
pg_held_heads(struct source_postgres *self, uint64_t now_us)
{
    const struct pg_parameters none = {.count = 0};
    if (pg_request_send(self, PG_HEADS, &none, now_us)) {
        pg_request_end(self, PG_REQUEST_HEADS, now_us); /* a loss was told */
    }
}

static void
send_wake(struct source_postgres *self, uint64_t now_us)
{
    struct pg_parameters outbox = {.count = 0};
    struct pg_parameters parameters = {.count = 0};
    pg_parameters_oid(&outbox, self->outbox_oid);
    self->wake_in_full = self->wake_from_us == INT64_MIN || now_us >= self->wake_full_us;
    pg_parameters_int8(&parameters, self->wake_probing ? 0 : self->wake_rows);
    if (self->wake_in_full) {
        pg_parameters_null(&parameters);
    } else {
        pg_parameters_int8(&parameters, self->wake_from_us);
    }
    if (pg_request_send(self, PG_WAKE, &parameters, now_us) &&
        pg_request_send(self, PG_ACTS, &outbox, now_us)) {
        pg_request_end(self, PG_REQUEST_WAKE, now_us); /* a loss was told */
    }
}

void
pg_held_wake(struct source_postgres *self, uint32_t rows_max, uint64_t now_us)
{
    self->wake_rows_max = rows_max;
    self->wake_rows = rows_max;
    self->wake_probing = false;
    send_wake(self, now_us);
}

static bool
refuse_wake(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    struct error error;
    if (self->wake_probing || !pg_error_may_be_of_row(result, true)) {
        return false;
    }
    if (self->wake_rows > 1) {
        self->wake_rows /= 2;
    } else {
        self->wake_probing = true;
        pg_error_from_result(result, &error);
        (void)snprintf(self->wake_trouble, sizeof(self->wake_trouble),
                       "its time has come, and it cannot go to the outbox: %s", error.text);
        pg_text_clean(self->wake_trouble, strlen(self->wake_trouble), pg_request_takes_utf8(self));
    }
    send_wake(self, now_us);
    return true;
}

/* Sets the message aside that cannot move; then the wake goes on with the next. */
static void
send_stuck(struct source_postgres *self, uint64_t now_us)
{
    struct pg_parameters parameters = {.count = 0};
    struct source_notice *notice = &pg_event_push(self, SOURCE_NOTICE)->notice;
    error_set(&notice->error, ERROR_MESSAGE, "a scheduled message is not sent in its order: %.300s",
              self->wake_trouble);
    pg_parameters_text(&parameters, self->wake_trouble);
    if (pg_request_send(self, PG_WAKE_STUCK, &parameters, now_us)) {
        pg_request_end(self, PG_REQUEST_WAKE_STUCK, now_us); /* a loss was told */
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
    struct source_heads *heads = &pg_event_push(self, SOURCE_HEADS)->heads;
    heads->count = (size_t)PQntuples(result);
    if (heads->count > 0) {
        heads->items = memory_array(heads->count, sizeof(*heads->items));
    }
    for (size_t i = 0; i < heads->count; i++) {
        heads->items[i] = head_at(result, (int)i);
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

/* The table that has this name now may be another one, owned by another relay. */
static bool
owns_the_outbox(const struct source_postgres *self, const PGresult *result, struct error *reterr)
{
    if (!pg_rows_bool(result, 0, 2)) {
        pg_error_set_pooled(reterr);
        return false;
    }
    return (!PQgetisnull(result, 0, 1) &&
            (uint32_t)pg_rows_int4(result, 0, 1) == self->outbox_oid) ||
           error_set(reterr, ERROR_CONNECTION,
                     "table outbox is another one than this relay owns: it was renamed or dropped");
}

/* After acts all scheduled messages are looked at: an operator sets the due time to the beginning of the transaction,
 * which may be before wake_from_us. */
static void
learn_acts(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    struct error error;
    if (!owns_the_outbox(self, result, &error)) {
        pg_session_lost(self, &error, now_us);
        return;
    }
    self->woken.acts = pg_rows_bool(result, 0, 0) || self->stuck;
    self->stuck = false;
    pg_event_push(self, SOURCE_WOKEN)->woken = self->woken;
    if (self->woken.acts) {
        self->wake_from_us = INT64_MIN;
        pg_fetch_forget_unread(self);
    }
}

static void
learn_wake(struct source_postgres *self, const struct pg_request *request, const PGresult *result,
           uint64_t now_us)
{
    if (self->wake_probing) {
        if (request->answers == 2) {
            self->wake_probing = false;
            send_stuck(self, now_us);
        }
    } else if (request->answers == 1) {
        learn_woken(self, request->sent_us, result, now_us);
    } else {
        learn_acts(self, result, now_us);
    }
}

void
pg_held_answer(struct source_postgres *self, const struct pg_request *request,
               const PGresult *result, uint64_t now_us)
{
    if (request->kind == PG_REQUEST_HOLD) {
        learn_hold(self, result, now_us);
    } else if (request->kind == PG_REQUEST_SETTLE_HELD) {
        learn_confirmed(self, now_us);
    } else if (request->kind == PG_REQUEST_HEADS) {
        learn_heads(self, result);
    } else if (request->kind == PG_REQUEST_WAKE) {
        learn_wake(self, request, result, now_us);
    } else if (request->kind == PG_REQUEST_WAKE_STUCK) {
        self->wake_from_us = INT64_MIN;
        self->stuck = true;
        send_wake(self, now_us);
    } else if (request->kind == PG_REQUEST_RELEASE_FIRST) {
        learn_unreleased(self, result);
    } else {
        assert(request->kind == PG_REQUEST_RELEASE);
        learn_released(self, result, now_us);
    }
}

/* False if nothing is sent for this kind of request. */
static bool
send_again(struct source_postgres *self, enum pg_request_kind kind, uint64_t now_us)
{
    if (kind == PG_REQUEST_HOLD) {
        send_hold(self, now_us);
    } else if (kind == PG_REQUEST_SETTLE_HELD && self->release.burying) {
        bury(self, now_us);
    } else if (kind == PG_REQUEST_SETTLE_HELD) {
        send_confirmed(self, now_us);
    } else if (kind == PG_REQUEST_RELEASE) {
        send_release(self, PG_RELEASE, now_us);
    } else if (kind == PG_REQUEST_WAKE) {
        send_wake(self, now_us);
    } else {
        return false;
    }
    return true;
}

bool
pg_held_refused(struct source_postgres *self, const struct pg_request *request,
                const PGresult *result, uint64_t now_us)
{
    if (pg_error_is_deadlock(result)) {
        return send_again(self, request->kind, now_us);
    }
    if (request->kind == PG_REQUEST_HOLD) {
        return refuse_hold(self, result, now_us);
    }
    if (request->kind == PG_REQUEST_SETTLE_HELD) {
        return refuse_confirmed(self, result, now_us);
    }
    if (request->kind == PG_REQUEST_RELEASE) {
        return refuse_release(self, result, now_us);
    }
    return request->kind == PG_REQUEST_WAKE && refuse_wake(self, result, now_us);
}

void
pg_held_lost(struct source_postgres *self)
{
    memory_free(self->hold.missing);
    self->hold.missing = NULL;
    source_failures_clear(&self->hold.failures);
    source_failures_clear(&self->settle.failures);
    source_failures_clear(&self->release.failures);
}
