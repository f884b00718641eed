/* relay/core/pipeline_hold.h - sends changes to the held table: messages that are set aside, and held messages that get
 * another state. Changes that were not sent yet can be taken back (pipeline_take_back.c). */
#ifndef RELAY_CORE_PIPELINE_HOLD_H
#define RELAY_CORE_PIPELINE_HOLD_H

#include "relay/core/holds.h"
#include "relay/core/pipeline.h"

struct holding {
    struct holds untold;
    struct holds out; /* in the statement that is out */
    bool asked;       /* a statement is out */
    bool tried;       /* a try to send `untold` left some of it behind */
    uint64_t at_us;   /* when `untold` is sent, as far as possible */
    uint64_t numbered;
};

void holding_done(struct pipeline *pipeline);
void holding_lost(struct pipeline *pipeline);

/* Adds a change to the list. The reason is copied. */
void holding_add(struct pipeline *pipeline, const struct hold *hold, const struct hold_note *note,
                 uint64_t now_us);
/* The same for a head, which may be in a statement only once: replaces an earlier unsent change of it. */
void holding_add_head(struct pipeline *pipeline, const struct hold *hold,
                      const struct hold_note *note, uint64_t now_us);
/* Removes every unsent change for which takes() returns true. */
void holding_filter(struct pipeline *pipeline,
                    bool (*takes)(void *context, const struct hold *hold,
                                  const struct hold_note *note),
                    void *context);
/* Drops the changes that the database could not do: those messages stay as they are. */
void holding_drop_stuck(struct pipeline *pipeline);

/* No change waits to be sent, and no statement is out. */
bool holding_is_idle(const struct pipeline *pipeline);
/* Too many changes wait to be sent. */
bool holding_is_crowded(const struct pipeline *pipeline);
/* Marks the keys with unsent changes as changed, because an answer to a statement sent from now on does not know of
 * those changes. */
void holding_mark_untold(struct pipeline *pipeline);

/* A mark behind all changes added so far; and whether everything before a mark was carried out. */
uint64_t holding_mark(const struct pipeline *pipeline);
bool holding_has_passed(const struct pipeline *pipeline, uint64_t mark);

/* The ids of unsent changes, and of those in the statement that is out; and how many both are. */
void holding_each_untold(const struct pipeline *pipeline, void (*visit)(void *context, int64_t id),
                         void *context);
void holding_each_out(const struct pipeline *pipeline, void (*visit)(void *context, int64_t id),
                      void *context);
size_t holding_count(const struct pipeline *pipeline);

bool holding_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t holding_deadline_us(const struct pipeline *pipeline);

#endif
