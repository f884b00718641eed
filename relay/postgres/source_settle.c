/* Deletes confirmed rows. A row that cannot be deleted (a foreign key or a trigger refuses), or is still there
 * afterwards (a trigger or a rule suppresses the delete), is reported; the others are deleted. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "relay/postgres/source_private.h"

static void
send_part(struct source_postgres *self, uint64_t now_us)
{
    struct pg_settle *settle = &self->settle;
    struct pg_parameters parameters = {.count = 0};
    const size_t count = settle->probing ? 0 : settle->parts.size;
    pg_parameters_encode(&settle->parameter, settle->ids + settle->parts.at, count);
    pg_parameters_array(&parameters, &settle->parameter);
    if (pg_recording_send(self, &settle->recording, PG_SETTLE, PG_SETTLE_KEEP, &parameters,
                          now_us)) {
        pg_request_end(self, PG_REQUEST_SETTLE, now_us); /* a loss was told */
    }
}

static void
begin_part(struct source_postgres *self, uint64_t now_us)
{
    pg_recording_begin(self, &self->settle.recording, now_us);
    send_part(self, now_us);
}

/* Asks which rows of the part still exist. */
static void
look(struct source_postgres *self, uint64_t now_us)
{
    struct pg_settle *settle = &self->settle;
    struct pg_parameters parameters = {.count = 0};
    pg_parameters_encode(&settle->parameter, settle->ids + settle->parts.at, settle->parts.size);
    pg_parameters_array(&parameters, &settle->parameter);
    if (pg_request_send(self, PG_PRESENT, &parameters, now_us)) {
        pg_request_end(self, PG_REQUEST_SETTLE_LOOK, now_us); /* a loss was told */
    }
}

static void
go_on(struct source_postgres *self, uint64_t now_us)
{
    if (halving_taken(&self->settle.parts)) {
        begin_part(self, now_us);
    } else {
        pg_event_push(self, SOURCE_SETTLED)->settled.failures =
            source_failures_take(&self->settle.failures);
    }
}

void
pg_settle_ask(struct source_postgres *self, const int64_t *ids, size_t count, uint64_t now_us)
{
    self->settle.ids = ids;
    self->settle.probing = false;
    source_failures_clear(&self->settle.failures);
    halving_begin(&self->settle.parts, count);
    begin_part(self, now_us);
}

static size_t
deleted_by(const struct pg_settle *settle, const PGresult *result)
{
    if (settle->recording.on) {
        return PQntuples(result) == 0 ? 0 : (size_t)pg_rows_int8(result, 0, 0);
    }
    return (size_t)strtoul(PQcmdTuples((PGresult *)(uintptr_t)result), NULL, 10);
}

/* If fewer were deleted than asked for, either somebody else deleted some, or some are still there. */
void
pg_settle_answer(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    struct pg_settle *settle = &self->settle;
    const size_t deleted = deleted_by(settle, result);
    if (settle->probing) {
        settle->probing = false;
        source_failures_add(&settle->failures, settle->ids[settle->parts.at], 0,
                            settle->error.text);
        go_on(self, now_us);
        return;
    }
    pg_recording_done(self, &settle->recording, now_us);
    if (deleted < settle->parts.size) {
        look(self, now_us);
    } else {
        go_on(self, now_us);
    }
}

void
pg_settle_look_answer(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    for (int i = 0; i < PQntuples(result); i++) {
        source_failures_add(
            &self->settle.failures, pg_rows_int8(result, i, 0), 0,
            "its row is still there: a trigger or a rule of the outbox keeps it from "
            "being deleted; drop that, or keep what you need in another table");
    }
    go_on(self, now_us);
}

/* If deleting no row fails too, no row is to blame. */
bool
pg_settle_refused(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    struct pg_settle *settle = &self->settle;
    if (pg_error_is_deadlock(result)) {
        send_part(self, now_us);
        return true;
    }
    if (pg_recording_refused(&settle->recording, result)) {
        send_part(self, now_us);
        return true;
    }
    if (settle->probing || !pg_error_may_be_of_row(result, true)) {
        return false;
    }
    if (halving_refused(&settle->parts)) {
        begin_part(self, now_us);
        return true;
    }
    settle->probing = true;
    pg_error_from_result(result, &settle->error);
    send_part(self, now_us);
    return true;
}
