#include "relay/mysql/source_held.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/mysql/error.h"
#include "relay/mysql/source_private.h"

/* Anybody can change the times, and clocks can go back. So all times are looked at regularly; the longer that takes,
 * the less often. */
#define FULL_WAKE_INTERVAL_US (10 * CLOCK_S_US)
#define FULL_WAKE_SHARE 50

/* True if a smaller part of the request may succeed where the whole failed. */
static bool
may_be_of_row(const struct my_job *job)
{
    return my_error_may_be_of_row(job->code, true);
}

/* A request with no rows succeeded, so a row caused the failure. */
static bool
is_good_probe(const struct my_job *job)
{
    return job->ok || my_error_is_of_missing_value(job->code);
}

/* ---- hold ----------------------------------------------------------------------------------------------- */

static bool
hold_run(struct my_session *session, struct my_job *job)
{
    struct my_hold *const hold = (struct my_hold *)job;
    return my_moves_hold(session, hold->holds + hold->parts.at,
                         hold->probing ? 0 : hold->parts.size, hold->missing + hold->missing_count,
                         &hold->part_missing);
}

static void hold_done(struct source_mysql *self, struct my_job *job, uint64_t now_us);

static void
send_hold(struct source_mysql *self, uint64_t now_us)
{
    struct my_hold *const hold = &self->held.hold;
    hold->job =
        (struct my_job){.run = hold_run, .done = hold_done, .words = "to set messages aside"};
    hold->part_missing = 0;
    my_ask(self, &hold->job, now_us);
}

void
my_held_hold(struct source_mysql *self, const struct hold *holds, size_t count, uint64_t now_us)
{
    struct my_hold *const hold = &self->held.hold;
    hold->holds = holds;
    hold->probing = false;
    hold->missing = memory_array(count, sizeof(*hold->missing));
    hold->missing_count = 0;
    halving_begin(&hold->parts, count);
    send_hold(self, now_us);
}

static void
end_hold(struct source_mysql *self)
{
    struct my_hold *const hold = &self->held.hold;
    struct source_held *const held = &my_event_push(self, SOURCE_HELD)->held;
    if (hold->missing_count == 0) {
        memory_free(hold->missing);
        hold->missing = NULL;
    }
    held->missing = hold->missing;
    held->missing_count = hold->missing_count;
    held->failures = source_failures_take(&hold->failures);
    hold->missing = NULL;
}

static void
learn_hold(struct source_mysql *self, uint64_t now_us)
{
    struct my_hold *const hold = &self->held.hold;
    hold->missing_count += hold->part_missing;
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

/* If a request with no rows fails too, the row is not at fault. */
static void
refuse_hold(struct source_mysql *self, uint64_t now_us)
{
    struct my_hold *const hold = &self->held.hold;
    if (!halving_refused(&hold->parts)) {
        hold->probing = true;
        hold->error = hold->job.error;
    }
    send_hold(self, now_us);
}

static void
hold_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    if (job->ok || (self->held.hold.probing && is_good_probe(job))) {
        learn_hold(self, now_us);
    } else if (!self->held.hold.probing && may_be_of_row(job)) {
        refuse_hold(self, now_us);
    } else {
        my_source_lost(self, &job->error, now_us);
    }
}

/* ---- release: those that went --------------------------------------------------------------------------- */

static void
tell_released(struct source_mysql *self)
{
    struct my_release *const release = &self->held.release;
    if (release->out || release->confirmed_out) {
        return;
    }
    my_event_push(self, SOURCE_RELEASED)->released = (struct source_released){
        .count = release->limit.at,
        .first_id = release->first_id,
        .last_id = release->last_id,
        .complete = release->complete,
        .failures = source_failures_take(&release->failures),
    };
}

static struct my_release *
release_of_confirmed(struct my_job *job)
{
    return (struct my_release *)job; /* confirmed_job is its first member */
}

static bool
confirmed_run(struct my_session *session, struct my_job *job)
{
    struct my_release *const release = release_of_confirmed(job);
    return my_moves_settle_held(session, release->asked.ids + release->confirmed.at,
                                release->confirmed_probing ? 0 : release->confirmed.size);
}

static void confirmed_done(struct source_mysql *self, struct my_job *job, uint64_t now_us);

static void
send_confirmed(struct source_mysql *self, uint64_t now_us)
{
    struct my_release *const release = &self->held.release;
    release->confirmed_job = (struct my_job){
        .run = confirmed_run, .done = confirmed_done, .words = "to delete held messages that went"};
    my_ask(self, &release->confirmed_job, now_us);
}

static void
learn_confirmed(struct source_mysql *self, uint64_t now_us)
{
    struct my_release *const release = &self->held.release;
    if (halving_taken(&release->confirmed)) {
        send_confirmed(self, now_us);
    } else {
        release->confirmed_out = false;
        tell_released(self);
    }
}

/* A message that was published but cannot be deleted becomes dead, so that it is not sent again. */
static bool
bury_run(struct my_session *session, struct my_job *job)
{
    struct my_release *const release = release_of_confirmed(job);
    int64_t missing;
    size_t missing_count;
    const struct hold dead = {.id = release->asked.ids[release->confirmed.at],
                              .state = HELD_DEAD,
                              .skipped = true,
                              .reason = "it went out, but cannot be deleted"};
    return my_moves_hold(session, &dead, 1, &missing, &missing_count);
}

/* If that fails too, the message will be sent once more. */
static void
bury_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    if (job->ok || may_be_of_row(job)) {
        learn_confirmed(self, now_us);
    } else {
        my_source_lost(self, &job->error, now_us);
    }
}

static void
bury(struct source_mysql *self, uint64_t now_us)
{
    struct my_release *const release = &self->held.release;
    release->confirmed_probing = false;
    release->confirmed_job = (struct my_job){
        .run = bury_run, .done = bury_done, .words = "to set a message aside that went"};
    my_ask(self, &release->confirmed_job, now_us);
}

static void
confirmed_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    struct my_release *const release = &self->held.release;
    if (release->confirmed_probing && is_good_probe(job)) {
        bury(self, now_us);
    } else if (job->ok) {
        learn_confirmed(self, now_us);
    } else if (!release->confirmed_probing && may_be_of_row(job)) {
        release->confirmed_probing = !halving_refused(&release->confirmed);
        send_confirmed(self, now_us);
    } else {
        my_source_lost(self, &job->error, now_us);
    }
}

/* ---- release: those that wait --------------------------------------------------------------------------- */

static struct my_release *
release_of(struct my_job *job)
{
    return (struct my_release *)((char *)job - offsetof(struct my_release, job));
}

static bool
release_run(struct my_session *session, struct my_job *job)
{
    struct my_release *const release = release_of(job);
    return my_moves_release(session, release->asked.keys,
                            release->probing ? 0 : release->asked.key_count, release->limit.size,
                            &release->moved);
}

static void release_done(struct source_mysql *self, struct my_job *job, uint64_t now_us);

static void
send_release(struct source_mysql *self, uint64_t now_us)
{
    struct my_release *const release = &self->held.release;
    release->job = (struct my_job){
        .run = release_run, .done = release_done, .words = "to move waiting messages back"};
    my_ask(self, &release->job, now_us);
}

/* Both jobs are sent at once, and each continues independently. */
void
my_held_release(struct source_mysql *self, const struct release *asked, uint64_t now_us)
{
    struct my_release *const release = &self->held.release;
    release->asked = *asked;
    release->confirmed_out = asked->id_count > 0;
    release->confirmed_probing = false;
    release->out = true;
    release->probing = false;
    halving_begin(&release->confirmed, asked->id_count);
    halving_begin(&release->limit, asked->rows_max);
    if (release->confirmed_out) {
        send_confirmed(self, now_us);
    }
    send_release(self, now_us);
}

static void
end_release(struct source_mysql *self, bool complete)
{
    self->held.release.out = false;
    self->held.release.complete = complete;
    tell_released(self);
}

static bool
first_waiting_run(struct my_session *session, struct my_job *job)
{
    struct my_release *const release = release_of(job);
    return my_moves_first_waiting(session, release->asked.keys, release->asked.key_count,
                                  &release->unmoved_any, &release->unmoved_id,
                                  &release->unmoved_key_hash);
}

static void
first_waiting_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    struct my_release *const release = &self->held.release;
    if (!job->ok) {
        my_source_lost(self, &job->error, now_us);
        return;
    }
    if (release->unmoved_any) {
        source_failures_add(&release->failures, release->unmoved_id, release->unmoved_key_hash,
                            release->error.text);
    }
    end_release(self, false);
}

static void
find_first_waiting(struct source_mysql *self, uint64_t now_us)
{
    struct my_release *const release = &self->held.release;
    release->probing = false;
    release->job = (struct my_job){
        .run = first_waiting_run, .done = first_waiting_done, .words = "which message waits"};
    my_ask(self, &release->job, now_us);
}

static void
learn_released(struct source_mysql *self, uint64_t now_us)
{
    struct my_release *const release = &self->held.release;
    const struct my_released *const moved = &release->moved;
    const bool complete = moved->count < release->limit.size;
    if (moved->count > 0) {
        const bool first = release->limit.at == 0 || moved->first_id < release->first_id;
        release->first_id = first ? moved->first_id : release->first_id;
        release->last_id = moved->last_id;
    }
    release->limit.size = moved->count;
    if (halving_taken(&release->limit) && !complete) {
        send_release(self, now_us);
    } else {
        end_release(self, complete);
    }
}

static void
refuse_release(struct source_mysql *self, uint64_t now_us)
{
    struct my_release *const release = &self->held.release;
    if (!halving_refused(&release->limit)) {
        release->probing = true;
        release->error = release->job.error;
    }
    send_release(self, now_us);
}

static void
release_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    if (self->held.release.probing && is_good_probe(job)) {
        find_first_waiting(self, now_us);
    } else if (job->ok) {
        learn_released(self, now_us);
    } else if (!self->held.release.probing && may_be_of_row(job)) {
        refuse_release(self, now_us);
    } else {
        my_source_lost(self, &job->error, now_us);
    }
}

/* ---- heads ---------------------------------------------------------------------------------------------- */

static bool
heads_run(struct my_session *session, struct my_job *job)
{
    return my_moves_heads(session, &((struct my_heads *)job)->heads);
}

static void
heads_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    struct my_heads *const heads = &self->held.heads;
    if (!job->ok) {
        my_source_lost(self, &job->error, now_us);
        return;
    }
    my_event_push(self, SOURCE_HEADS)->heads = heads->heads;
    heads->heads = (struct source_heads){.count = 0};
}

void
my_held_heads(struct source_mysql *self, uint64_t now_us)
{
    struct my_heads *const heads = &self->held.heads;
    heads->job = (struct my_job){
        .run = heads_run, .done = heads_done, .words = "which messages keep keys back"};
    my_ask(self, &heads->job, now_us);
}

/* ---- wake ----------------------------------------------------------------------------------------------- */

static bool
wake_run(struct my_session *session, struct my_job *job)
{
    struct my_wake *const wake = (struct my_wake *)job;
    return my_moves_wake(session, wake->in_full ? MY_WAKE_ALL : wake->from_us,
                         wake->probing ? 0 : wake->rows, &wake->woken) &&
           my_moves_acts(session, &wake->acts) && my_source_still_owns(session) &&
           my_last_id_ask(session, &wake->last_id);
}

static void wake_done(struct source_mysql *self, struct my_job *job, uint64_t now_us);

static void
send_wake(struct source_mysql *self, uint64_t now_us)
{
    struct my_wake *const wake = &self->held.wake;
    wake->in_full = wake->from_us == MY_WAKE_ALL || now_us >= wake->full_us;
    wake->woken = (struct my_woken){.any_due = false};
    wake->job = (struct my_job){
        .run = wake_run, .done = wake_done, .words = "for scheduled messages that are due"};
    my_ask(self, &wake->job, now_us);
}

void
my_held_wake(struct source_mysql *self, uint32_t rows_max, uint64_t now_us)
{
    struct my_wake *const wake = &self->held.wake;
    wake->rows_max = rows_max;
    wake->rows = rows_max;
    wake->probing = false;
    send_wake(self, now_us);
}

/* If an operator has acted, the next look begins at the lowest time: the act may have made messages due at the time
 * when its transaction began, which is over. */
static void
learn_wake(struct source_mysql *self, uint64_t now_us)
{
    struct my_wake *const wake = &self->held.wake;
    const uint64_t rest_us = (now_us - wake->job.sent_us) * FULL_WAKE_SHARE;
    const bool acts = wake->acts || wake->stuck;
    my_event_push(self, SOURCE_WOKEN)->woken = (struct source_woken){
        .count = wake->woken.count, .next_in_us = wake->woken.next_in_us, .acts = acts};
    wake->stuck = false;
    wake->from_us = acts ? MY_WAKE_ALL : wake->woken.up_to_us;
    if (wake->in_full) {
        wake->full_us =
            now_us + (rest_us > FULL_WAKE_INTERVAL_US ? rest_us : FULL_WAKE_INTERVAL_US);
    }
}

static bool
stuck_run(struct my_session *session, struct my_job *job)
{
    struct my_wake *const wake = (struct my_wake *)job;
    return my_moves_wake_stuck(session, wake->stuck_id, wake->trouble);
}

static void
stuck_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    struct my_wake *const wake = &self->held.wake;
    if (!job->ok) {
        my_source_lost(self, &job->error, now_us);
        return;
    }
    wake->from_us = MY_WAKE_ALL;
    wake->stuck = true;
    send_wake(self, now_us);
}

/* Sets aside the message that cannot move; then the others are tried again. */
static void
send_stuck(struct source_mysql *self, uint64_t now_us)
{
    struct my_wake *const wake = &self->held.wake;
    struct source_notice *const notice = &my_event_push(self, SOURCE_NOTICE)->notice;
    error_set(&notice->error, ERROR_MESSAGE, "a scheduled message is not sent in its order: %.300s",
              wake->trouble);
    wake->probing = false;
    wake->job = (struct my_job){
        .run = stuck_run, .done = stuck_done, .words = "to set a scheduled message aside"};
    my_ask(self, &wake->job, now_us);
}

static void
refuse_wake(struct source_mysql *self, uint64_t now_us)
{
    struct my_wake *const wake = &self->held.wake;
    if (wake->rows > 1) {
        wake->rows /= 2;
    } else {
        wake->probing = true;
        wake->stuck_id = wake->woken.first_id;
        (void)snprintf(wake->trouble, sizeof(wake->trouble),
                       "its time has come, and it cannot go to the outbox: %.200s",
                       wake->job.error.text); /* fits */
    }
    send_wake(self, now_us);
}

static void
wake_done(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    struct my_wake *const wake = &self->held.wake;
    if (wake->probing && is_good_probe(job)) {
        send_stuck(self, now_us);
    } else if (job->ok) {
        if (!my_watermark_ids_anew(self, wake->last_id, now_us)) {
            learn_wake(self, now_us);
        }
    } else if (!wake->probing && wake->woken.any_due && may_be_of_row(job)) {
        refuse_wake(self, now_us);
    } else {
        my_source_lost(self, &job->error, now_us);
    }
}

/* ---- ownership ------------------------------------------------------------------------------------------ */

void
my_held_owned(struct source_mysql *self)
{
    self->held.wake.from_us = MY_WAKE_ALL;
    self->held.wake.stuck = false;
}

void
my_held_lost(struct source_mysql *self)
{
    memory_free(self->held.hold.missing);
    self->held.hold.missing = NULL;
    memory_free(self->held.heads.heads.items);
    self->held.heads.heads = (struct source_heads){.count = 0};
    source_failures_clear(&self->held.hold.failures);
    source_failures_clear(&self->held.release.failures);
}
