/* relay/core/outcomes.h - whether the broker refuses nearly everything for the same reason. Then the route is at fault
 * (a missing exchange or binding, a full queue), not the messages.
 *
 * Remembers the last outcomes of different messages: taken, or refused and for which cause. A message that is refused
 * repeatedly counts once. */
#ifndef RELAY_CORE_OUTCOMES_H
#define RELAY_CORE_OUTCOMES_H

#include <stdbool.h>
#include <stdint.h>

#define OUTCOMES_KEPT 64
/* Fewer refusals than this say nothing about the route. */
#define OUTCOMES_MIN 8

enum refusal_kind {
    REFUSED_RETURNED = 1,
    REFUSED_NACKED,
    REFUSED_CLOSED,
    REFUSED_CUT,           /* the connection ended without a close */
    REFUSED_UNPUBLISHABLE, /* says nothing about the route */
};

/* `cause` is equal for refusals with the same cause as far as the route is concerned; 0: taken. */
struct outcome {
    int64_t id;
    uint64_t cause; /* 0: taken */
};

struct outcomes {
    struct outcome kept[OUTCOMES_KEPT]; /* a ring */
    uint32_t next;
    uint32_t count;
};

void outcomes_clear(struct outcomes *outcomes);
uint64_t outcomes_cause(enum refusal_kind kind, uint32_t exchange);
void outcomes_taken(struct outcomes *outcomes, int64_t id);

/* Remembers this refusal. True if at least three in four of the remembered outcomes, and at least OUTCOMES_MIN, have
 * this cause. */
bool outcomes_refused(struct outcomes *outcomes, int64_t id, uint64_t cause);

#endif
