/* The requests of relays to the database: sent, executed, answered, each at its own time. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
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

/* The core now has these rows. */
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
copy(const void *values, size_t count, size_t size)
{
    void *memory = memory_array(count, size);
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
    free(request->present.ids);
    source_failures_clear(&request->settled.failures);
    free(request->held.missing);
    source_failures_clear(&request->held.failures);
    source_failures_clear(&request->released.failures);
    free(request->heads.items);
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
        request->present = world_present(&world, request->ids, request->fetch.id_count);
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

/* A trigger, rule or constraint of others refuses one of its rows. */
static bool
fails(struct request *request, size_t *ret_index)
{
    if (world.mended || request->count == 0 || !world_chance(&world, FAILED_MOVE_PERCENT)) {
        return false;
    }
    *ret_index = random_between(&world.random, 0, request->count - 1);
    return true;
}

/* The reason does not matter. */
static void
add_failure(struct source_failures *failures, int64_t id, int64_t key_hash, const char *what)
{
    world_note(&world, "row %ld cannot be %s", (long)id, what);
    source_failures_add(failures, id, key_hash, "forbidden");
}

static void
is_stuck(int64_t id)
{
    world.messages[world.slots[id].message].stuck = true;
    world.stuck_rows = true;
}

static void
execute_settle(struct request *request)
{
    size_t index;
    if (fails(request, &index)) {
        const int64_t id = request->ids[index];
        add_failure(&request->settled.failures, id, 0, "deleted");
        is_stuck(id);
        request->ids[index] = request->ids[--request->count];
    }
    world_settle(&world, request->ids, request->count);
}

static void
execute_hold(struct request *request)
{
    size_t index;
    struct source_failures failures = {0};
    if (fails(request, &index)) {
        const int64_t id = request->holds[index].id;
        add_failure(&failures, id, 0, "set aside");
        is_stuck(id);
        request->count--;
        memmove(request->holds + index, request->holds + index + 1,
                (request->count - index) * sizeof(struct hold));
    }
    request->held = world_hold(&world, request->holds, request->count);
    request->held.failures = failures;
}

static void
execute_release(struct request *request)
{
    struct release release = request->release;
    struct source_released *released = &request->released;
    const bool fails = !world.mended && world_chance(&world, FAILED_MOVE_PERCENT);
    int64_t id;
    int64_t key_hash;
    if (fails) {
        release.rows_max =
            (uint32_t)random_between(&world.random, 0, release.rows_max < 4 ? release.rows_max : 4);
    }
    *released = world_release(&world, &release);
    if (fails && world_lowest_waiting(&world, &release, &id, &key_hash)) {
        add_failure(&released->failures, id, key_hash, "released");
        released->complete = false;
    }
}

/* What the source does with the server's answer. */
static void
execute_watermark(struct relay *relay, struct request *request)
{
    const struct look *look = &request->look;
    if (!world.dialect->listless) {
        watermark_observe(&relay->watermark, look->log_end, look->last_id, look->writers,
                          look->writer_count);
    }
    request->final = (struct source_final){
        .id = relay->watermark.final_id,
        .position = relay->watermark.final_position,
        .log_end = look->log_end,
    };
    world_final_is_told(&world, &request->final);
}

static void
execute(struct relay *relay, struct request *request)
{
    switch (request->type) {
    case REQUEST_FETCH:
        execute_fetch(request);
        break;
    case REQUEST_SETTLE:
        execute_settle(request);
        break;
    case REQUEST_WATERMARK:
        execute_watermark(relay, request);
        break;
    case REQUEST_HOLD:
        execute_hold(request);
        break;
    case REQUEST_RELEASE:
        execute_release(request);
        break;
    case REQUEST_HEADS:
        request->heads = world_heads(&world);
        break;
    case REQUEST_WAKE:
        request->woken = world_wake(&world, request->count);
        break;
    case REQUEST_TYPES:
        break;
    }
}

/* A fetch that met a large row is executed again, after later requests. */
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

/* True if the look has more queries. */
static bool
goes_on_looking(struct request *request)
{
    while (!world_look(&world, &request->look)) {
        if (world_chance(&world, 30)) {
            return true;
        }
    }
    return false;
}

/* The session ends between the two transactions of a release. */
static bool
is_cut_within(const struct request *request)
{
    return request->type == REQUEST_RELEASE && world.dialect->moves_apart && !world.mended &&
           world_chance(&world, 2);
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
    if (request->type == REQUEST_WATERMARK && goes_on_looking(request)) {
        return;
    }
    if (is_cut_within(request)) {
        world_delete_heads(&world, &request->release);
        relay_cut_session(relay);
        return;
    }
    request->executed = true;
    relay->heard_us = world.now_us;
    execute(relay, request);
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
    pipeline_rows(relay->pipeline, &loan->batch, world.now_us);
    loan_lend(relay, loan);
}

static void
answer(struct relay *relay, struct request *request)
{
    struct pipeline *pipeline = relay->pipeline;
    const uint64_t now_us = world.now_us;
    switch (request->type) {
    case REQUEST_FETCH:
        if (request->fetch.kind == FETCH_PRESENT) {
            pipeline_present(pipeline, &request->present, now_us);
        } else {
            lend(relay, request);
        }
        break;
    case REQUEST_SETTLE:
        pipeline_settled(pipeline, &request->settled, now_us);
        break;
    case REQUEST_WATERMARK:
        pipeline_final(pipeline, &request->final, now_us);
        break;
    case REQUEST_HOLD:
        pipeline_held(pipeline, &request->held, now_us);
        break;
    case REQUEST_RELEASE:
        pipeline_released(pipeline, &request->released, now_us);
        break;
    case REQUEST_HEADS:
        relay->heads_told = true;
        world_note(&world, "relay %d learns %zu heads", relay->index, request->heads.count);
        pipeline_heads(pipeline, &request->heads, now_us);
        break;
    case REQUEST_WAKE:
        relay->acts_told |= request->woken.acts;
        pipeline_woken(pipeline, &request->woken, now_us);
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
