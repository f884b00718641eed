/* Records what was sent, for `explain`: the statement that deletes confirmed messages also writes a row with their ids. The record
 * is only an aid, so no message waits for it: where it cannot be written, the messages are deleted without it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "relay/postgres/source_private.h"

/* One statement forgets so many batches. If it forgot as many, another one follows. */
#define FORGET_BATCHES 100
#define FORGET_INTERVAL_US (10 * CLOCK_S_US)
/* After a failure nothing is recorded for this long, so that whatever is wrong costs little: waiting for somebody's lock a second
 * of a minute (hurry.sql). */
#define PAUSE_US (60 * CLOCK_S_US)

static const struct pg_parameters none = {.count = 0};

static void
tell(struct source_postgres *self, const char *why)
{
    if (!self->sent.told) {
        self->sent.told = true;
        pg_tail_notice(
            self, "what is sent is not recorded, so `outbox-relay explain` will not know of it: %s",
            why);
    }
}

void
pg_sent_learn(struct source_postgres *self, const char *lacking)
{
    char why[400];
    const bool there = self->sent.there;
    const bool wanted = self->config->keep_sent_us > 0;
    self->sent.usable = there && lacking[0] == '\0';
    self->sent.empty = false;
    self->sent.paused_until_us = 0;
    if (wanted && !self->sent.usable) {
        (void)snprintf(why, sizeof(why), "%s%s",
                       there ? "the relay's role lacks a privilege: "
                             : "there is no table outbox_sent_batch: run `outbox-relay init`",
                       there ? lacking : ""); /* cut is fine */
        tell(self, why);
    }
}

void
pg_recording_begin(const struct source_postgres *self, struct pg_recording *recording,
                   uint64_t now_us)
{
    recording->on =
        self->config->keep_sent_us > 0 && self->sent.usable && now_us >= self->sent.paused_until_us;
    recording->failed = false;
}

bool
pg_recording_send(struct source_postgres *self, const struct pg_recording *recording,
                  enum pg_statement plain, enum pg_statement keep,
                  const struct pg_parameters *parameters, uint64_t now_us)
{
    return recording->on ? pg_request_lead(self, PG_HURRY, &none, now_us) &&
                               pg_request_send(self, keep, parameters, now_us)
                         : pg_request_send(self, plain, parameters, now_us);
}

bool
pg_recording_refused(struct pg_recording *recording, const PGresult *result)
{
    if (!recording->on) {
        recording->failed = false; /* something else is the cause */
        return false;
    }
    recording->on = false;
    recording->failed = true;
    pg_error_from_result(result, &recording->error);
    return true;
}

void
pg_recording_done(struct source_postgres *self, struct pg_recording *recording, uint64_t now_us)
{
    if (recording->failed) {
        recording->failed = false;
        self->sent.paused_until_us = now_us + PAUSE_US;
        tell(self, recording->error.text);
    } else if (recording->on) {
        self->sent.told = false;
    }
}

static void
send_forget(struct source_postgres *self, uint64_t now_us)
{
    struct pg_parameters parameters = {.count = 0};
    pg_parameters_int8(&parameters, pg_parameters_span_us(self->config->keep_sent_us));
    pg_parameters_int8(&parameters, FORGET_BATCHES);
    pg_parameters_int8(&parameters, (int64_t)self->config->keep_sent_bytes);
    self->sent.forget_out = true;
    self->sent.forget_at_us = now_us + FORGET_INTERVAL_US;
    if (pg_request_lead(self, PG_HURRY, &none, now_us) &&
        pg_request_send(self, PG_FORGET_SENT, &parameters, now_us)) {
        pg_request_end(self, PG_REQUEST_FORGET, now_us); /* a loss was told */
    }
}

void
pg_sent_forget(struct source_postgres *self, uint64_t now_us)
{
    if (self->state == PG_OWNED && self->sent.usable && !self->sent.empty &&
        !self->sent.forget_out && now_us >= self->sent.forget_at_us &&
        now_us >= self->sent.paused_until_us) {
        send_forget(self, now_us);
    }
}

void
pg_sent_forgotten(struct source_postgres *self, PGresult *result, uint64_t now_us)
{
    self->sent.forget_out = false;
    if (strtol(PQcmdTuples(result), NULL, 10) >= FORGET_BATCHES) {
        send_forget(self, now_us);
    } else {
        self->sent.empty = self->config->keep_sent_us == 0;
    }
}

void
pg_sent_unforgotten(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    struct error error;
    self->sent.forget_out = false;
    self->sent.paused_until_us = now_us + PAUSE_US;
    pg_error_from_result(result, &error);
    if (self->config->keep_sent_us > 0) {
        tell(self, error.text);
    }
}
