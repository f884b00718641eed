#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/postgres/source_private.h"

static enum pg_statement
statement_of(const struct fetch_plan *plan)
{
    switch (plan->kind) {
    case FETCH_NEXT:
        return plan->exact ? PG_FETCH_NEXT_EXACT : PG_FETCH_NEXT;
    case FETCH_HEADS:
        return PG_FETCH_HEADS;
    case FETCH_PRESENT: /* uses another request */
        break;
    }
    assert(false);
    return PG_FETCH_NEXT;
}

/* ---- what is asked -------------------------------------------------------------------------------------- */

static void
add_unread(struct source_postgres *self, struct pg_parameters *parameters, uint64_t now_us)
{
    struct pg_fetch *fetch = &self->fetch;
    const struct fetch_unread *const unread = fetch->plan.unread;
    size_t count = 0;
    for (size_t i = 0; i < FETCH_PLAN_UNREAD_MAX; i++) {
        count += fetch_plan_is_unread(&unread[i], now_us);
    }
    pg_array_begin_int8(&fetch->unread_ids, count);
    pg_array_begin_text(&fetch->unread_reasons, count);
    for (size_t i = 0; i < FETCH_PLAN_UNREAD_MAX; i++) {
        if (fetch_plan_is_unread(&unread[i], now_us)) {
            pg_array_put_int8(&fetch->unread_ids, unread[i].id);
            pg_array_put_text(&fetch->unread_reasons, unread[i].reason,
                              pg_request_takes_utf8(self));
        }
    }
    pg_parameters_array(parameters, &fetch->unread_ids);
    pg_parameters_array(parameters, &fetch->unread_reasons);
}

static void
add_parameters(struct source_postgres *self, struct pg_parameters *parameters, uint64_t now_us)
{
    struct pg_fetch *fetch = &self->fetch;
    const struct fetch_plan *const plan = &fetch->plan;
    const bool next = plan->kind == FETCH_NEXT;
    if (next) {
        pg_parameters_int8(parameters, plan->after_id);
    }
    pg_parameters_array(parameters, &fetch->ids);
    pg_parameters_int8(parameters, fetch_plan_limit(plan));
    pg_parameters_int8(parameters, fetch_plan_bytes(plan));
    if (next) {
        pg_parameters_int8(parameters, plan->stretch_end);
        if (!plan->exact) {
            return;
        }
    }
    pg_parameters_int8(parameters, SOURCE_MESSAGE_BYTES_MAX);
    pg_parameters_text(parameters, plan->bare ? plan->trouble : NULL);
    if (!next) {
        add_unread(self, parameters, now_us);
    }
}

/* A single large row may take long to transfer: incoming bytes show that the server is alive. */
static bool
send_patience(struct source_postgres *self, uint64_t now_us)
{
    char timeout_ms[24];
    struct pg_parameters parameters = {.count = 0};
    const struct fetch_plan *const plan = &self->fetch.plan;
    if (!fetch_plan_is_alone(plan) || plan->bare) {
        return true;
    }
    (void)snprintf(timeout_ms, sizeof(timeout_ms), "%" PRIu64,
                   FETCH_PLAN_PATIENCE * self->config->takeover_us / CLOCK_MS_US); /* fits */
    pg_parameters_text(&parameters, timeout_ms);
    return pg_request_lead(self, PG_PATIENCE, &parameters, now_us);
}

static void
send_fetch(struct source_postgres *self, uint64_t now_us)
{
    struct fetch_plan *plan = &self->fetch.plan;
    struct pg_parameters parameters = {.count = 0};
    fetch_plan_send(plan, self->watermark.final_id, now_us);
    pg_text_clean(plan->trouble, strlen(plan->trouble), pg_request_takes_utf8(self));
    add_parameters(self, &parameters, now_us);
    if (send_patience(self, now_us) &&
        pg_request_send(self, statement_of(plan), &parameters, now_us)) {
        pg_request_end(self, PG_REQUEST_FETCH, now_us); /* a loss was told */
    }
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
    if (!fetch_present_is_dense(fetch)) {
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
    if (fetch->kind == FETCH_PRESENT) {
        ask_present(self, fetch, now_us);
        return;
    }
    fetch_plan_begin(&self->fetch.plan, fetch);
    pg_parameters_encode(&self->fetch.ids, fetch->ids, fetch->id_count);
    send_fetch(self, now_us);
}

/* ---- what came ------------------------------------------------------------------------------------------ */

bool
pg_fetch_refused(struct source_postgres *self, const PGresult *result, uint64_t now_us)
{
    struct error error;
    pg_error_from_result(result, &error);
    if (!pg_error_may_be_of_row(result, false) ||
        !fetch_plan_refused(&self->fetch.plan, error.text)) {
        return false;
    }
    pg_event_alive(self);
    send_fetch(self, now_us);
    return true;
}

/* If the server announced the end, no row is to blame. */
void
pg_fetch_lost(struct source_postgres *self, const struct error *error, uint64_t now_us)
{
    const bool announced = self->fatal_sqlstate[0] != '\0';
    fetch_plan_lost(&self->fetch.plan, announced || error->class == ERROR_CONFIG, error->text,
                    now_us);
}

void
pg_fetch_forget_unread(struct source_postgres *self)
{
    fetch_plan_forget_unread(&self->fetch.plan);
}

void
pg_fetch_answer_take(struct source_postgres *self, PGresult *result, uint64_t now_us)
{
    struct fetch_plan *plan = &self->fetch.plan;
    struct error error;
    bool slow = false;
    struct batch *batch = pg_rows_decode_take(result, fetch_plan_rows(plan), &error);
    if (batch == NULL) {
        pg_session_lost(self, &error, now_us);
        return;
    }
    const bool deliver = fetch_plan_answered(plan, batch, now_us, &slow);
    if (slow) {
        pg_tail_notice(self, "the table is read %s", plan->slow);
    }
    if (deliver) {
        pg_event_push(self, SOURCE_ROWS)->rows = batch;
        return;
    }
    batch_free(batch);
    pg_event_alive(self); /* walking over many dead rows takes long */
    send_fetch(self, now_us);
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
        present->count = fetch_present_keep(present->ids, present->count, self->present_asked,
                                            self->present_asked_count);
        pg_fetch_present_done(self);
    }
}
