#include "relay/core/pipeline_settle.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "relay/core/pipeline_internal.h"

#define SETTLE_IDS_MAX 2000 /* in one statement */

void
settling_init(struct pipeline *pipeline)
{
    struct settling *settling = &pipeline->settling;
    const struct pipeline_options *options = &pipeline->options;
    settling->ready_capacity =
        2 * (size_t)options->lane_count * options->window_messages + PROBE_WINDOW + SETTLE_IDS_MAX;
    settling->ready = memory_array(settling->ready_capacity, sizeof(int64_t));
    settling->out = memory_array(SETTLE_IDS_MAX, sizeof(int64_t));
}

void
settling_done(struct pipeline *pipeline)
{
    memory_free(pipeline->settling.ready);
    memory_free(pipeline->settling.out);
    memory_free(pipeline->settling.stuck);
}

void
settling_lost(struct pipeline *pipeline)
{
    struct settling *settling = &pipeline->settling;
    pipeline->counts.repeated_ownership += settling_in_outbox(pipeline);
    settling->ready_count = 0;
    settling->out_count = 0;
    settling->out_again_count = 0;
    settling->stuck_count = 0;
    settling->done = settling->asked;
}

void
settling_add(struct pipeline *pipeline, int64_t id, uint64_t now_us)
{
    struct settling *settling = &pipeline->settling;
    assert(settling->ready_count < settling->ready_capacity);
    if (settling->ready_count == 0) {
        settling->since_us = now_us;
    }
    settling->ready[settling->ready_count++] = id;
    settling->asked++;
}

bool
settling_has_room(const struct pipeline *pipeline)
{
    return settling_count(pipeline) + lanes_in_flight(pipeline) < pipeline->settling.ready_capacity;
}

bool
settling_is_stuck(const struct pipeline *pipeline)
{
    return pipeline->settling.stuck_count >= pipeline->options.held_max;
}

size_t
settling_count(const struct pipeline *pipeline)
{
    return pipeline->settling.ready_count + pipeline->settling.out_count;
}

uint64_t
settling_mark(const struct pipeline *pipeline)
{
    return pipeline->settling.asked;
}

bool
settling_has_passed(const struct pipeline *pipeline, uint64_t mark)
{
    return pipeline->settling.done >= mark;
}

void
settling_each(const struct pipeline *pipeline, void (*visit)(void *context, int64_t id),
              void *context)
{
    const struct settling *settling = &pipeline->settling;
    for (size_t i = 0; i < settling->ready_count; i++) {
        visit(context, settling->ready[i]);
    }
    for (size_t i = 0; i < settling->out_count; i++) {
        visit(context, settling->out[i]);
    }
    for (size_t i = 0; i < settling->stuck_count; i++) {
        visit(context, settling->stuck[i]);
    }
}

size_t
settling_in_outbox(const struct pipeline *pipeline)
{
    return settling_count(pipeline) + pipeline->settling.stuck_count;
}

static void
keep_stuck(struct pipeline *pipeline, const struct source_failures *failures, uint64_t now_us)
{
    struct settling *settling = &pipeline->settling;
    if (failures->count == 0) {
        return;
    }
    pipeline_reserve(&settling->stuck, &settling->stuck_capacity,
                     settling->stuck_count + failures->count);
    for (size_t i = 0; i < failures->count; i++) {
        settling->stuck[settling->stuck_count++] = failures->items[i].id;
    }
    settling->stuck_at_us = now_us + STUCK_AGAIN_US;
    reports_put_failures(&pipeline->reports, REPORT_UNDELETED, failures);
}

void
pipeline_settled(struct pipeline *pipeline, const struct source_settled *settled, uint64_t now_us)
{
    struct settling *settling = &pipeline->settling;
    assert(settling->out_count > 0);
    keep_stuck(pipeline, &settled->failures, now_us);
    const size_t count = settling->out_count - settling->out_again_count;
    pipeline->counts.settled += count;
    settling->done += count;
    settling->out_count = 0;
    settling->out_again_count = 0;
    settling->since_us = now_us;
}

static bool
is_due(const struct pipeline *pipeline, uint64_t now_us)
{
    const struct settling *settling = &pipeline->settling;
    if (!pipeline->owned || settling->out_count > 0 || settling->ready_count == 0) {
        return false;
    }
    return settling->ready_count >= pipeline->options.batch_rows || pipeline->draining ||
           now_us >= settling->since_us + pipeline->options.settle_delay_us;
}

static uint64_t
again_deadline_us(const struct pipeline *pipeline)
{
    const struct settling *settling = &pipeline->settling;
    return pipeline->owned && settling->stuck_count > 0 && settling->out_count == 0 &&
                   !pipeline->draining
               ? settling->stuck_at_us
               : CLOCK_NEVER_US;
}

/* Moves as many ids as fit into one statement from `ids` to `out`. */
static void
take_out(struct settling *settling, int64_t *ids, size_t *count)
{
    const size_t out = *count < SETTLE_IDS_MAX ? *count : SETTLE_IDS_MAX;
    memcpy(settling->out, ids, out * sizeof(int64_t));
    settling->out_count = out;
    *count -= out;
    memmove(ids, ids + out, *count * sizeof(int64_t));
}

bool
settling_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    struct settling *settling = &pipeline->settling;
    const bool again = now_us >= again_deadline_us(pipeline);
    if (!again && !is_due(pipeline, now_us)) {
        return false;
    }
    if (!again) {
        take_out(settling, settling->ready, &settling->ready_count);
    } else {
        take_out(settling, settling->stuck, &settling->stuck_count);
        settling->out_again_count = settling->out_count;
    }
    *ret_action = (struct pipeline_action){
        .type = PIPELINE_SETTLE, .ids = settling->out, .count = settling->out_count};
    return true;
}

uint64_t
settling_deadline_us(const struct pipeline *pipeline)
{
    const struct settling *settling = &pipeline->settling;
    const bool waits = settling->ready_count > 0 && settling->out_count == 0;
    const uint64_t due_us =
        waits ? settling->since_us + pipeline->options.settle_delay_us : CLOCK_NEVER_US;
    return clock_earlier_us(due_us, again_deadline_us(pipeline));
}
