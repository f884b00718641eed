/* relay/core/holds.h - messages that are to be set aside: a list that is filled, sent as one statement, and answered.
 * What each was before is kept with it, so that it can be taken back as long as it was not sent. */
#ifndef RELAY_CORE_HOLDS_H
#define RELAY_CORE_HOLDS_H

#include "relay/core/held.h"
#include "relay/ports/source.h"

/* Why it is in the list. */
struct hold_note {
    struct held_subject subject;
    uint64_t number;          /* ascending in the list */
    bool fresh;               /* it is in the outbox; else held already, with another state */
    uint32_t attempts_before; /* not fresh */
    uint64_t not_before_us;   /* not 0: it was told, and could not be done */
    char *reason;             /* the list's own: what the item's points to */
};

struct holds {
    struct hold *items;
    struct hold_note *notes; /* of each */
    size_t count;
    size_t capacity;
};

/* Whether it is the head of its key, or one without a key: it is to be tried again, or is dead. */
bool holds_a_head(const struct hold *hold);

void holds_done(struct holds *holds);
void holds_clear(struct holds *holds);

/* The hold's reason is copied; NULL: none. The note's is not looked at. */
void holds_add(struct holds *holds, const struct hold *hold, const struct hold_note *note);

/* Another content for an item, but for why it is in the list. */
void holds_replace(struct holds *holds, size_t index, const struct hold *hold);

/* Takes out all items for which it says so, in their order. */
void holds_filter(struct holds *holds,
                  bool (*takes)(void *context, const struct hold *hold,
                                const struct hold_note *note),
                  void *context);

#endif
