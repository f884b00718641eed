/* relay/ports/events.h - what a source has to tell, in its order, until `next` takes it. */
#ifndef RELAY_PORTS_EVENTS_H
#define RELAY_PORTS_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/ports/source.h"

/* Twice what one call of `process` tells: it is for the source to see that there is half of it left before it goes
 * on. */
#define SOURCE_EVENTS_MAX 96

/* All zero: none. */
struct source_events {
    struct source_event items[SOURCE_EVENTS_MAX]; /* a ring */
    uint32_t first;
    uint32_t count;
};

/* The event, to be filled in before the next is pushed; all else of it is zero. */
struct source_event *source_events_push(struct source_events *events, enum source_event_type type,
                                        uint64_t lease_until_us);
/* SOURCE_ALIVE, once for many in a row: many pings may be answered at a time. */
void source_events_alive(struct source_events *events, uint64_t lease_until_us);
/* Whether another call of `process` may tell what it has. */
bool source_events_have_room(const struct source_events *events);
/* The oldest; false: there is none. */
bool source_events_take(struct source_events *events, struct source_event *ret_event);
/* Frees those that nobody took. */
void source_events_done(struct source_events *events);

#endif
