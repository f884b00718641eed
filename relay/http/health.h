/* relay/http/health.h - whether the process is alive, and whether it does its work. A line for each source, in plain text. */
#ifndef RELAY_HTTP_HEALTH_H
#define RELAY_HTTP_HEALTH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "relay/daemon/board.h"

/* False if the thread of a source hangs: only a new process helps then. */
bool health_is_alive(FILE *out, struct board *board, uint64_t now_us);

/* False if a source has not reached its database yet, hangs or drains; and, with `stuck_unready`, if one is paused or has
 * lost its database. Such a source is named with its reason in any case. */
bool health_is_ready(FILE *out, struct board *board, uint64_t now_us);

enum health {
    HEALTH_STARTING,
    HEALTH_PUBLISHING,
    HEALTH_IDLE,
    HEALTH_STANDBY,
    HEALTH_STUCK, /* paused, or without its database */
    HEALTH_DRAINING,
    HEALTH_HANGING,
};
/* NULL: the source has no worker yet. */
enum health health_of(const struct board_view *view);
/* "publishing", "idle", … */
const char *health_word(enum health health);
/* Why a source is as it is; "" if there is nothing to say. */
const char *health_reason(const struct board_view *view);

#endif
