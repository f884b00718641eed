/* What relays ask of the database: sent, carried out, answered, each at its own time. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/sim/sim.h"

#define FAILED_MOVE_PERCENT 3

/* ---- rows that the core has ------------------------------------------------------------------- */

struct loan *
loan_new(uint32_t rows_max)
{
    struct loan *loan = calloc(1, sizeof(*loan));
    assert(loan != NULL);
    loan->batch.rows = calloc(rows_max, sizeof(*loan->batch.rows));
    assert(loan->batch.rows != NULL);
    return loan;
}

void
loan_free(struct loan *loan)
{
    if (loan != NULL) {
        memset(loan->batch.rows, 0xa5, loan->batch.count * sizeof(*loan->batch.rows));
        free(loan->batch.rows);
        free(loan);
    }
}

/* To the core, which has its rows. */
void
loan_lend(struct relay *relay, struct loan *loan)
{
    if (loan->batch.count == 0) {
        loan_free(loan);
        return;
    }
    loan->next = relay->loans;
    relay->loans = loan;
}

void
loan_return(struct relay *relay, const struct row *row)
{
    struct loan **place = &relay->loans;
    while (*place != NULL && &(*place)->batch != row->batch) {
        place = &(*place)->next;
    }
    PROMISE(*place != NULL, "relay %d gives back a row that it does not have", relay->index);
    struct loan *loan = *place;
    if (--loan->batch.in_use == 0) {
        *place = loan->next;
        loan_free(loan);
    }
}

void
loans_drop(struct relay *relay)
{
    while (relay->loans != NULL) {
        struct loan *loan = relay->loans;
        relay->loans = loan->next;
        loan_free(loan);
    }
}

/* ---- sending ---------------------------------------------------------------------------------- */

static void *
room_for(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    assert(memory != NULL);
    return memory;
}

static void *
copy(const void *values, size_t count, size_t size)
{
    void *memory = room_for(count, size);
    if (count > 0) {
        memcpy(memory, values, count * size);
    }
    return memory;
}

static void
copy_arguments(struct request *request, const struct pipeline_action *action)
{
    switch (request->type) {
    case REQUEST_FETCH:
        request->fetch = action->fetch;
        request->ids = copy(action->fetch.ids, action->fetch.id_count, sizeof(int64_t));
        request->fetch.ids = request->ids;
        break;
    case REQUEST_SETTLE:
        request->ids = copy(action->ids, action->count, sizeof(int64_t));
        break;
    case REQUEST_HOLD:
        request->holds = copy(action->holds, action->count, sizeof(struct hold));
        break;
    case REQUEST_RELEASE:
        request->release = action->release;
        request->ids = copy(action->release.ids, action->release.id_count, sizeof(int64_t));
        request->keys = copy(action->release.keys, action->release.key_count, sizeof(int64_t));
        request->release.ids = request->ids;
        request->release.keys = request->keys;
        break;
    case REQUEST_WATERMARK:
    case REQUEST_HEADS:
    case REQUEST_WAKE:
    case REQUEST_TYPES:
        break;
    }
}

bool
request_is_out(const struct relay *relay, enum request_type type)
{
    for (size_t i = 0; i < relay->request_count; i++) {
        if (relay->requests[i].type == type) {
            return true;
        }
    }
    return false;
}

void
request_send(struct relay *relay, enum request_type type, const struct pipeline_action *action)
{
    PROMISE(!request_is_out(relay, type), "relay %d asks for two of kind %d at a time",
            relay->index, type);
    PROMISE(relay->owned_told, "relay %d asks without owning the outbox", relay->index);
    struct request *request = &relay->requests[relay->request_count++];
    *request = (struct request){.type = type, .sent_us = world.now_us, .count = action->count};
    copy_arguments(request, action);
    relay->asked[type]++;
    if (type == REQUEST_HEADS) {
        relay->acts_told = false;
    } else if (type == REQUEST_WAKE) {
        relay->wake_asked_us = world.now_us;
    }
}

static void
request_done(struct request *request)
{
    free(request->ids);
    free(request->keys);
    free(request->holds);
    free(request->missing);
    free(request->present);
    free(request->heads);
    loan_free(request->loan);
}

void
requests_drop(struct relay *relay)
{
    for (size_t i = 0; i < relay->request_count; i++) {
        request_done(&relay->requests[i]);
    }
    relay->request_count = 0;
}

/* ---- carrying out ----------------------------------------------------------------------------- */

static void
execute_fetch(struct request *request)
{
    if (request->fetch.kind == FETCH_PRESENT) {
        request->present = room_for(request->fetch.id_count, sizeof(int64_t));
        request->present_count =
            world_present(&world, request->ids, request->fetch.id_count, request->present);
        return;
    }
    struct loan *loan = loan_new(request->fetch.rows_max);
    struct batch *batch = &loan->batch;
    world_fetch(&world, &request->fetch, batch->rows, &batch->count, &batch->complete);
    batch->in_use = batch->count;
    for (size_t i = 0; i < batch->count; i++) {
        batch->rows[i].batch = batch;
    }
    request->loan = loan;
}

/* Somebody's trigger, rule or constraint is against one row of it. */
static bool
fails(struct request *request, size_t *ret_index)
{
    if (world.mended || request->count == 0 || !world_chance(&world, FAILED_MOVE_PERCENT)) {
        return false;
    }
    *ret_index = random_between(&world.random, 0, request->count - 1);
    return true;
}

static void
execute_settle(struct request *request)
{
    size_t index;
    if (fails(request, &index)) {
        request->failure.id = request->ids[index];
        world_note(&world, "row %ld cannot be deleted", (long)request->failure.id);
        world.messages[world.slots[request->failure.id].message].stuck = true;
        world.stuck_rows = true;
        request->ids[index] = request->ids[--request->count];
    }
    world_settle(&world, request->ids, request->count);
}

static void
execute_hold(struct request *request)
{
    size_t index;
    if (fails(request, &index)) {
        request->failure.id = request->holds[index].id;
        world_note(&world, "row %ld cannot be set aside", (long)request->failure.id);
        world.messages[world.slots[request->failure.id].message].stuck = true;
        world.stuck_rows = true;
        request->count--;
        memmove(request->holds + index, request->holds + index + 1,
                (request->count - index) * sizeof(struct hold));
    }
    request->missing = room_for(request->count, sizeof(int64_t));
    world_hold(&world, request->holds, request->count, request->missing, &request->missing_count);
}

static void
execute_release(struct request *request)
{
    struct release release = request->release;
    struct source_failure *failure = &request->failure;
    const bool fails = !world.mended && world_chance(&world, FAILED_MOVE_PERCENT);
    if (fails) {
        release.rows_max =
            (uint32_t)random_between(&world.random, 0, release.rows_max < 4 ? release.rows_max : 4);
    }
    request->released = world_release(&world, &release);
    if (fails && world_lowest_waiting(&world, &release, &failure->id, &failure->key_hash)) {
        world_note(&world, "row %ld cannot be released", (long)failure->id);
        request->released.complete = false;
    }
}

static void
execute(struct request *request)
{
    switch (request->type) {
    case REQUEST_FETCH:
        execute_fetch(request);
        break;
    case REQUEST_SETTLE:
        execute_settle(request);
        break;
    case REQUEST_WATERMARK:
        request->watermark = world_final(&world, request->watermark.position);
        break;
    case REQUEST_HOLD:
        execute_hold(request);
        break;
    case REQUEST_RELEASE:
        execute_release(request);
        break;
    case REQUEST_HEADS:
        request->heads = world_heads(&world, &request->head_count);
        break;
    case REQUEST_WAKE:
        request->woken = world_wake(&world, request->count);
        break;
    case REQUEST_TYPES:
        break;
    }
}

/* A fetch that met a large row is carried out again after what was asked later. */
static void
repeat(struct relay *relay, size_t index)
{
    struct request request = relay->requests[index];
    loan_free(request.loan);
    request.loan = NULL;
    request.executed = false;
    relay->request_count--;
    memmove(relay->requests + index, relay->requests + index + 1,
            (relay->request_count - index) * sizeof(request));
    relay->requests[relay->request_count++] = request;
    world_count(&world, EVENT_REPEATED_FETCH);
    world_note(&world, "relay %d has its fetch carried out again", relay->index);
}

/* It looks where the log ends, and some time later at those who write. */
static bool
begin_watermark(struct request *request)
{
    if (request->begun) {
        return false;
    }
    request->begun = true;
    request->watermark.position = world.log.end;
    return world_chance(&world, 30);
}

void
request_execute(struct relay *relay)
{
    size_t index = 0;
    while (index < relay->request_count && relay->requests[index].executed) {
        index++;
    }
    if (index == relay->request_count) {
        return;
    }
    struct request *request = &relay->requests[index];
    if (request->type == REQUEST_WATERMARK && begin_watermark(request)) {
        return;
    }
    request->executed = true;
    relay->heard_us = world.now_us;
    execute(request);
    if (request->type == REQUEST_FETCH && request->fetch.kind == FETCH_NEXT &&
        world_chance(&world, 10)) {
        repeat(relay, index);
    }
}

/* ---- answering -------------------------------------------------------------------------------- */

static void
lend(struct relay *relay, struct request *request)
{
    struct loan *loan = request->loan;
    request->loan = NULL;
    world_note(&world, "relay %d reads %zu %s", relay->index, loan->batch.count,
               request->fetch.kind == FETCH_HEADS ? "heads" : "rows");
    for (size_t i = 0; i < loan->batch.count; i++) {
        relay->probe[loan->batch.rows[i].id] = request->fetch.kind == FETCH_HEADS;
    }
    pipeline_rows(relay->pipeline, loan->batch.rows, loan->batch.count, loan->batch.complete,
                  world.now_us);
    loan_lend(relay, loan);
}

static void
answer(struct relay *relay, struct request *request)
{
    struct pipeline *pipeline = relay->pipeline;
    const uint64_t now_us = world.now_us;
    const size_t failed = request->failure.id != 0 ? 1 : 0;
    switch (request->type) {
    case REQUEST_FETCH:
        if (request->fetch.kind == FETCH_PRESENT) {
            pipeline_present(pipeline, request->present, request->present_count, now_us);
        } else {
            lend(relay, request);
        }
        break;
    case REQUEST_SETTLE:
        pipeline_undeleted(pipeline, &request->failure, failed, now_us);
        pipeline_settled(pipeline, now_us);
        break;
    case REQUEST_WATERMARK:
        pipeline_final(pipeline, request->watermark.final_id, request->watermark.final_position,
                       request->watermark.position, now_us);
        break;
    case REQUEST_HOLD:
        pipeline_unmoved(pipeline, &request->failure, failed, now_us);
        pipeline_held(pipeline, request->missing, request->missing_count, now_us);
        break;
    case REQUEST_RELEASE:
        pipeline_released(pipeline, request->released.count, request->released.first_id,
                          request->released.last_id, request->released.complete, now_us);
        if (failed > 0) {
            pipeline_unreleased(pipeline, &request->failure, now_us);
        }
        break;
    case REQUEST_HEADS:
        relay->heads_told = true;
        world_note(&world, "relay %d learns %zu heads", relay->index, request->head_count);
        pipeline_heads(pipeline, request->heads, request->head_count, now_us);
        break;
    case REQUEST_WAKE:
        relay->acts_told |= request->woken.acts;
        pipeline_woken(pipeline, request->woken.count, request->woken.next_in_us,
                       request->woken.acts, now_us);
        break;
    case REQUEST_TYPES:
        break;
    }
}

void
request_answer(struct relay *relay)
{
    if (relay->request_count == 0 || !relay->requests[0].executed) {
        return;
    }
    struct request request = relay->requests[0];
    relay->request_count--;
    memmove(relay->requests, relay->requests + 1, relay->request_count * sizeof(request));
    pipeline_lease(relay->pipeline, request.sent_us + TAKEOVER_US);
    relay->stirred = true;
    answer(relay, &request);
    request_done(&request);
}
