/* relay/core/pipeline_settle.h - confirmed messages are deleted from the outbox. A message that cannot be deleted is
 * remembered, so that it is not sent again, and the deletion is retried from time to time. */
#ifndef RELAY_CORE_PIPELINE_SETTLE_H
#define RELAY_CORE_PIPELINE_SETTLE_H

#include "relay/core/pipeline.h"

struct settling {
    int64_t *ready; /* confirmed, to be deleted */
    size_t ready_count;
    size_t ready_capacity; /* fixed; room for all that may be in flight */
    uint64_t since_us;     /* when the first of them was confirmed */
    int64_t *out;          /* in the statement that is out */
    size_t out_count;
    size_t out_again_count; /* so many of them failed before */
    int64_t *stuck;         /* could not be deleted */
    size_t stuck_count;
    size_t stuck_capacity;
    uint64_t stuck_at_us; /* when deleting them is tried again */
    uint64_t asked;       /* how many ids were ever confirmed */
    uint64_t done;        /* how many of them were deleted, in the same order */
};

void settling_init(struct pipeline *pipeline);
void settling_done(struct pipeline *pipeline);
/* Forgets confirmed ids: those of one ownership must not be deleted under another. */
void settling_lost(struct pipeline *pipeline);

/* The message was confirmed. */
void settling_add(struct pipeline *pipeline, int64_t id, uint64_t now_us);
/* Whether there is room for one more message when it is confirmed. */
bool settling_has_room(const struct pipeline *pipeline);
/* As many messages cannot be deleted as are allowed (held_max). */
bool settling_is_stuck(const struct pipeline *pipeline);
/* Confirmed and not deleted yet; without those that could not be deleted. */
size_t settling_count(const struct pipeline *pipeline);

/* A mark behind all messages confirmed so far; and whether all before a mark were deleted. A message that could not be
 * deleted counts as deleted: it went out. */
uint64_t settling_mark(const struct pipeline *pipeline);
bool settling_has_passed(const struct pipeline *pipeline, uint64_t mark);

/* All confirmed messages that are still in the outbox, and their number. */
void settling_each(const struct pipeline *pipeline, void (*visit)(void *context, int64_t id),
                   void *context);
size_t settling_in_outbox(const struct pipeline *pipeline);

bool settling_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t settling_deadline_us(const struct pipeline *pipeline);

#endif
