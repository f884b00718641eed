/* relay/core/holds.h - messages to be set aside: a list that is filled, sent as one statement, and answered. Each item
 * is kept with its earlier state, so that it can be taken back as long as it was not sent. */
#ifndef RELAY_CORE_HOLDS_H
#define RELAY_CORE_HOLDS_H

#include "relay/core/held.h"
#include "relay/ports/source.h"

/* The core's own notes on an item. */
struct hold_note {
    struct held_subject subject;
    uint64_t number; /* ascending in the list */
    /* The message is in the outbox; if not, it is held already and gets another state. */
    bool fresh;
    uint32_t attempts_before; /* not fresh */
    uint64_t not_before_us;   /* not 0: the database could not do it; retry from then on */
    char *reason;             /* owned by the list; the item's reason points to it */
};

struct holds {
    struct hold *items;
    struct hold_note *notes; /* of each */
    size_t count;
    size_t capacity;
};

/* True if the state is one of a head (retrying or dead): the head of its key, or a message without a key. */
bool holds_a_head(const struct hold *hold);

void holds_done(struct holds *holds);
void holds_clear(struct holds *holds);

/* The hold's reason is copied; NULL: none. The note's reason is ignored. */
void holds_add(struct holds *holds, const struct hold *hold, const struct hold_note *note);

/* Replaces an item; its note stays, but for the reason. */
void holds_replace(struct holds *holds, size_t index, const struct hold *hold);

/* Removes every item for which takes() returns true; calls it in the list's order. */
void holds_filter(struct holds *holds,
                  bool (*takes)(void *context, const struct hold *hold,
                                const struct hold_note *note),
                  void *context);

#endif
