/* relay/core/pipeline_release.h - held messages that went out are deleted, and the messages waiting behind them move
 * back to the outbox. When none of the key is left, the key is open again. */
#ifndef RELAY_CORE_PIPELINE_RELEASE_H
#define RELAY_CORE_PIPELINE_RELEASE_H

#include "relay/core/held.h"
#include "relay/core/pipeline.h"

#define RELEASE_KEYS_MAX 64 /* in one statement */

/* RELEASE_ANSWERED: the answer takes effect when the fetch that was out at the same time has come back. */
enum release_state { RELEASE_IDLE, RELEASE_OUT, RELEASE_ANSWERED };

struct releasing {
    enum release_state state;
    int64_t *confirmed; /* to be deleted from the held table */
    size_t confirmed_count;
    size_t confirmed_capacity;
    uint64_t at_us; /* no key is released before this time */

    /* The statement that is out. */
    int64_t *ids;
    size_t ids_count;
    size_t ids_capacity;
    int64_t keys[RELEASE_KEYS_MAX];
    struct held_subject subjects[RELEASE_KEYS_MAX];
    size_t subject_count;
    uint64_t sent_change; /* value of held.changes when it was sent */

    /* RELEASE_ANSWERED: as in struct source_released. */
    size_t count;
    int64_t first_id;
    int64_t last_id;
    bool complete;
};

void releasing_done(struct pipeline *pipeline);
void releasing_lost(struct pipeline *pipeline);

/* A held message was confirmed. */
void releasing_add(struct pipeline *pipeline, int64_t id);
/* Messages may have moved back without the core knowing it yet. */
bool releasing_is_under_way(const struct pipeline *pipeline);
/* A confirmed held message is not deleted yet. */
bool releasing_is_owed(const struct pipeline *pipeline);
/* Applies the answer, if no fetch is out. */
void releasing_apply(struct pipeline *pipeline);

bool releasing_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t releasing_deadline_us(const struct pipeline *pipeline);

#endif
