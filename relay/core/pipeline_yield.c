#include "relay/core/pipeline_yield.h"

#include <assert.h>

#include "relay/core/pipeline_internal.h"

#define ASK_AGAIN_US CLOCK_S_US

void
yielding_lost(struct pipeline *pipeline)
{
    pipeline->yielding = (struct yielding){.ask_us = CLOCK_NEVER_US};
}

static bool
misses_broker(const struct pipeline *pipeline)
{
    return pipeline->owned && !pipeline->draining && pipeline->options.yield_after_us > 0 &&
           !lanes_any_ready(pipeline);
}

/* What was confirmed is deleted first, and what was refused is set aside: else the other relay would send it again. */
static bool
is_ready_to_go(const struct pipeline *pipeline)
{
    return lanes_in_flight(pipeline) == 0 && settling_count(pipeline) == 0 &&
           holding_is_idle(pipeline) && !releasing_is_owed(pipeline);
}

uint64_t
yielding_deadline_us(const struct pipeline *pipeline)
{
    const struct yielding *yielding = &pipeline->yielding;
    return yielding->out ? CLOCK_NEVER_US : yielding->ask_us;
}

static bool
go(struct pipeline *pipeline, struct pipeline_action *ret_action)
{
    yielding_lost(pipeline); /* in any case the next ask comes after the full time */
    *ret_action = (struct pipeline_action){.type = PIPELINE_YIELD};
    return true;
}

static bool
ask(struct yielding *yielding, struct pipeline_action *ret_action)
{
    yielding->out = true;
    *ret_action = (struct pipeline_action){.type = PIPELINE_RIVAL};
    return true;
}

bool
yielding_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action)
{
    struct yielding *yielding = &pipeline->yielding;
    if (!misses_broker(pipeline)) {
        yielding->ask_us = CLOCK_NEVER_US;
        yielding->rival = false;
        return false;
    }
    if (yielding->ask_us == CLOCK_NEVER_US) {
        yielding->ask_us = now_us + pipeline->options.yield_after_us;
    }
    if (yielding->rival && is_ready_to_go(pipeline)) {
        return go(pipeline, ret_action);
    }
    return !yielding->out && now_us >= yielding->ask_us && ask(yielding, ret_action);
}

void
pipeline_rival(struct pipeline *pipeline, bool rival, uint64_t now_us)
{
    struct yielding *yielding = &pipeline->yielding;
    assert(yielding->out);
    yielding->out = false;
    yielding->rival = rival;
    if (yielding->ask_us != CLOCK_NEVER_US) {
        yielding->ask_us = now_us + ASK_AGAIN_US;
    }
}
