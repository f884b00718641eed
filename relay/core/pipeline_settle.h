/* relay/core/pipeline_settle.h - what is confirmed is deleted from the outbox. What could not be deleted is kept in mind, so
 * that it is not sent again, and tried again from time to time. */
#ifndef RELAY_CORE_PIPELINE_SETTLE_H
#define RELAY_CORE_PIPELINE_SETTLE_H

#include "relay/core/pipeline.h"

struct settling {
    int64_t *ready; /* confirmed, to be deleted */
    size_t ready_count;
    size_t ready_capacity; /* for all that may be in flight */
    uint64_t since_us;     /* when the first of them was confirmed */
    int64_t *out;          /* in the statement that is out */
    size_t out_count;
    size_t out_again_count; /* so many of them could not be deleted before */
    int64_t *stuck;         /* could not be deleted */
    size_t stuck_count;
    size_t stuck_capacity;
    uint64_t stuck_at_us; /* when that is tried again */
    uint64_t asked;       /* ids that were ever confirmed, */
    uint64_t done;        /* and that were ever deleted: in the same order */
};

void settling_init(struct pipeline *pipeline);
void settling_done(struct pipeline *pipeline);
/* What was confirmed under an ownership that is over is not settled under another. */
void settling_lost(struct pipeline *pipeline);

/* It was confirmed. */
void settling_add(struct pipeline *pipeline, int64_t id, uint64_t now_us);
/* Whether what is published next could be taken in once it is confirmed. */
bool settling_has_room(const struct pipeline *pipeline);
/* As many cannot be deleted as may be. */
bool settling_is_stuck(const struct pipeline *pipeline);
/* Confirmed and not deleted, but for what could not be. */
size_t settling_count(const struct pipeline *pipeline);

/* A mark behind all that was confirmed so far, and whether all before a mark has been deleted. What could not be deleted
 * counts as deleted: it is in the outbox, but went out. */
uint64_t settling_mark(const struct pipeline *pipeline);
bool settling_has_passed(const struct pipeline *pipeline, uint64_t mark);

/* All that is confirmed and in the outbox still, and how many they are. */
void settling_each(const struct pipeline *pipeline, void (*visit)(void *context, int64_t id),
                   void *context);
size_t settling_in_outbox(const struct pipeline *pipeline);

bool settling_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t settling_deadline_us(const struct pipeline *pipeline);

#endif
