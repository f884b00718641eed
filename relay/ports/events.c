#include "relay/ports/events.h"

#include <assert.h>

struct source_event *
source_events_push(struct source_events *events, enum source_event_type type,
                   uint64_t lease_until_us)
{
    assert(events->count < SOURCE_EVENTS_MAX);
    struct source_event *event =
        &events->items[(events->first + events->count) % SOURCE_EVENTS_MAX];
    *event = (struct source_event){.type = type, .lease_until_us = lease_until_us};
    events->count++;
    return event;
}

void
source_events_alive(struct source_events *events, uint64_t lease_until_us)
{
    struct source_event *last =
        &events->items[(events->first + events->count - 1) % SOURCE_EVENTS_MAX];
    if (events->count > 0 && last->type == SOURCE_ALIVE) {
        last->lease_until_us = lease_until_us;
    } else {
        source_events_push(events, SOURCE_ALIVE, lease_until_us);
    }
}

bool
source_events_have_room(const struct source_events *events)
{
    return events->count <= SOURCE_EVENTS_MAX / 2;
}

bool
source_events_take(struct source_events *events, struct source_event *ret_event)
{
    if (events->count == 0) {
        return false;
    }
    *ret_event = events->items[events->first];
    events->first = (events->first + 1) % SOURCE_EVENTS_MAX;
    events->count--;
    return true;
}

void
source_events_done(struct source_events *events)
{
    struct source_event event;
    while (source_events_take(events, &event)) {
        source_event_done(&event);
    }
}
