/* relay/ports/events.h - a queue of a source's events, until `next` takes them. */
#ifndef RELAY_PORTS_EVENTS_H
#define RELAY_PORTS_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/ports/source.h"

/* Twice the number of events that one call of `process` can push: before it goes on, the source checks that half of the
 * queue is free. */
#define SOURCE_EVENTS_MAX 96

/* All zero: none. */
struct source_events {
    struct source_event items[SOURCE_EVENTS_MAX]; /* a ring */
    uint32_t first;
    uint32_t count;
};

/* Appends an event; all its other fields are zero. Fill it in before the next one is pushed. */
struct source_event *source_events_push(struct source_events *events, enum source_event_type type,
                                        uint64_t lease_until_us);
/* Pushes SOURCE_ALIVE, or updates the last event if it is one: many pings may be answered together. */
void source_events_alive(struct source_events *events, uint64_t lease_until_us);
/* True if half of the queue is free for another call of `process`. */
bool source_events_have_room(const struct source_events *events);
/* The oldest; false: there is none. */
bool source_events_take(struct source_events *events, struct source_event *ret_event);
/* Frees the events that nobody took. */
void source_events_done(struct source_events *events);

#endif
