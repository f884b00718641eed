/* relay/core/pipeline_hold.h - what is told to the held table: messages that move aside, and those that get another state
 * there. What was not told yet can be taken back (pipeline_take_back.c). */
#ifndef RELAY_CORE_PIPELINE_HOLD_H
#define RELAY_CORE_PIPELINE_HOLD_H

#include "relay/core/holds.h"
#include "relay/core/pipeline.h"

struct holding {
    struct holds untold;
    struct holds out; /* in the statement that is out */
    bool asked;       /* there is one */
    bool tried;       /* something could not be told yet */
    uint64_t at_us;   /* when the untold is told, as far as it may be */
    uint64_t numbered;
};

void holding_done(struct pipeline *pipeline);
void holding_lost(struct pipeline *pipeline);

/* To be told. The reason is copied. */
void holding_add(struct pipeline *pipeline, const struct hold *hold, const struct hold_note *note,
                 uint64_t now_us);
/* The same of a head, which is told once in a statement: what it was to become before counts no more. */
void holding_add_head(struct pipeline *pipeline, const struct hold *hold,
                      const struct hold_note *note, uint64_t now_us);
/* Takes out of the untold all for which it says so. */
void holding_filter(struct pipeline *pipeline,
                    bool (*takes)(void *context, const struct hold *hold,
                                  const struct hold_note *note),
                    void *context);
/* What could not be moved stays in the outbox. */
void holding_drop_stuck(struct pipeline *pipeline);

/* Nothing is to be told, and nothing is out. */
bool holding_is_idle(const struct pipeline *pipeline);
/* More is to be told than may be. */
bool holding_is_crowded(const struct pipeline *pipeline);
/* Marks the keys of which something is untold as changed, for what the table says of them from now on is old. */
void holding_mark_untold(struct pipeline *pipeline);

/* A mark behind all that was to be told so far, and whether all before a mark was told. */
uint64_t holding_mark(const struct pipeline *pipeline);
bool holding_has_passed(const struct pipeline *pipeline, uint64_t mark);

/* What is untold, and what is out; and how many at most. */
void holding_each_untold(const struct pipeline *pipeline, void (*visit)(void *context, int64_t id),
                         void *context);
void holding_each_out(const struct pipeline *pipeline, void (*visit)(void *context, int64_t id),
                      void *context);
size_t holding_count(const struct pipeline *pipeline);

bool holding_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t holding_deadline_us(const struct pipeline *pipeline);

#endif
