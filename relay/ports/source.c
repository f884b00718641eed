#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/ports/source.h"

void
batch_free(struct batch *batch)
{
    if (batch == NULL) {
        return;
    }
    if (batch->free_owner != NULL) {
        batch->free_owner(batch->owner);
    }
    free(batch->rows);
    free(batch);
}

/* The moment is for what else is due on the same beat (base/clock.h), and is as good as a ping. */
uint64_t
source_ping_after_us(uint64_t takeover_us)
{
    return takeover_us / 3 + 20 * CLOCK_MS_US;
}

void
source_failures_add(struct source_failures *failures, int64_t id, int64_t key_hash,
                    const char *reason)
{
    if (failures->count == failures->capacity) {
        const size_t capacity = failures->capacity > 0 ? 2 * failures->capacity : 16;
        struct source_failure *const items = memory_array(capacity, sizeof(*items));
        if (failures->count > 0) {
            memcpy(items, failures->items, failures->count * sizeof(*items));
        }
        memory_free(failures->items);
        failures->items = items;
        failures->capacity = capacity;
    }
    struct source_failure *failure = &failures->items[failures->count++];
    *failure = (struct source_failure){.id = id, .key_hash = key_hash};
    (void)snprintf(failure->reason, sizeof(failure->reason), "%s", reason);
}

void
source_failures_clear(struct source_failures *failures)
{
    memory_free(failures->items);
    *failures = (struct source_failures){0};
}

struct source_failures
source_failures_take(struct source_failures *failures)
{
    const struct source_failures taken = *failures;
    *failures = (struct source_failures){0};
    return taken;
}

void
source_event_done(struct source_event *event)
{
    switch (event->type) {
    case SOURCE_ROWS:
        batch_free(event->rows);
        break;
    case SOURCE_LOG:
        batch_free(event->log.batch);
        break;
    case SOURCE_PRESENT:
        memory_free(event->present.ids);
        break;
    case SOURCE_SETTLED:
        source_failures_clear(&event->settled.failures);
        break;
    case SOURCE_HELD:
        memory_free(event->held.missing);
        source_failures_clear(&event->held.failures);
        break;
    case SOURCE_RELEASED:
        source_failures_clear(&event->released.failures);
        break;
    case SOURCE_HEADS:
        memory_free(event->heads.items);
        break;
    case SOURCE_OWNED:
    case SOURCE_STANDBY:
    case SOURCE_YIELDED:
    case SOURCE_RIVAL:
    case SOURCE_LOST:
    case SOURCE_ALIVE:
    case SOURCE_FINAL:
    case SOURCE_WOKEN:
    case SOURCE_TAILING:
    case SOURCE_NOT_TAILING:
    case SOURCE_NOTICE:
        break;
    }
}
