#include "tests/sim/world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
world_note(const struct world *world, const char *format, ...)
{
    if (!world->trace) {
        return;
    }
    (void)printf("%10.3f ms  ", (double)world->now_us / 1000);
    va_list arguments;
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)printf("\n");
}

_Noreturn void
promise_broken(const char *condition, const char *format, ...)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "promise broken: ");
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, " (%s)\n", condition);
    abort();
}

/* Pipes are large, and most runs use few of them, so only used ones are cleared. */
void
world_init(struct world *world, uint64_t seed)
{
    const bool trace = world->trace;
    uint64_t *const tally = world->tally;
    for (size_t i = 0; i < world->pipe_end; i++) {
        world->pipes[i].used = false;
    }
    memset(world, 0, offsetof(struct world, pipes));
    memset(&world->pipe_end, 0, sizeof(*world) - offsetof(struct world, pipe_end));
    world->trace = trace;
    world->tally = tally;
    random_seed(&world->random, seed);
    world->message_count = 1;
    world->next_id = 1;
    world->owner = NOBODY;
    world->log.end = LOG_STEP;
    world->now_us = 1000000;
    for (uint32_t i = EXCHANGES_GOOD; i < EXCHANGES_MAX; i++) {
        world->missing[i] = true;
    }
}

bool
world_chance(struct world *world, unsigned percent)
{
    return random_chance(&world->random, percent);
}

void
world_count(struct world *world, enum event event)
{
    world->tally[event]++;
}

const char *
world_exchange_name(uint32_t exchange)
{
    static const char *const names[EXCHANGES_MAX] = {"orders", "stock", "mail", "gone", "typo"};
    assert(exchange < EXCHANGES_MAX);
    return names[exchange];
}

int64_t
world_key_hash(int64_t key)
{
    const uint64_t same = key == KEYS_MAX - 1 ? KEYS_MAX - 2 : (uint64_t)key;
    return (int64_t)(same * UINT64_C(0x9e3779b97f4a7c15));
}

/* By id, and only if everybody who sees the later one, in the table or in the log, sees the earlier one too. A
 * scheduled message has no place before it becomes due and gets one. */
bool
world_precedes(const struct message *earlier, const struct message *later)
{
    const struct stored *a = &earlier->stored;
    const struct stored *b = &later->stored;
    return !earlier->aside && !later->aside && !a->scheduled && a->id < b->id &&
           a->visible <= b->visible && a->position <= b->position;
}
