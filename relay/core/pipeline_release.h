/* relay/core/pipeline_release.h - held messages that went out are deleted, and those that waited behind them move back to
 * the outbox, until nothing of the key is left and it is open again. */
#ifndef RELAY_CORE_PIPELINE_RELEASE_H
#define RELAY_CORE_PIPELINE_RELEASE_H

#include "relay/core/held.h"
#include "relay/core/pipeline.h"

#define RELEASE_KEYS_MAX 64 /* in one statement */

/* Answered: it has to wait until the fetch that was out with it has come. */
enum release_state { RELEASE_IDLE, RELEASE_OUT, RELEASE_ANSWERED };

struct releasing {
    enum release_state state;
    int64_t *confirmed; /* to be deleted from the held table */
    size_t confirmed_count;
    size_t confirmed_capacity;
    uint64_t at_us; /* keys are not released before: there was none to be released */

    /* The statement that is out. */
    int64_t *ids;
    size_t ids_capacity;
    int64_t keys[RELEASE_KEYS_MAX];
    struct held_subject subjects[RELEASE_KEYS_MAX];
    size_t subject_count;
    uint64_t sent_change; /* held.changes, then */

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
/* Messages may have moved back of which the core does not know yet. */
bool releasing_is_under_way(const struct pipeline *pipeline);
/* Something is still to be deleted. */
bool releasing_is_owed(const struct pipeline *pipeline);
/* What was answered takes effect, once no fetch is out. */
void releasing_apply(struct pipeline *pipeline);

bool releasing_next(struct pipeline *pipeline, uint64_t now_us, struct pipeline_action *ret_action);
uint64_t releasing_deadline_us(const struct pipeline *pipeline);

#endif
