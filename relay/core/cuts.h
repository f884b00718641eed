/* relay/core/cuts.h - messages that were alone in flight when a connection ended without a close from the broker, and
 * how often that happened since the message last went through. Once may be chance: networks fail. A few times in a row
 * it may be the message: some device between relay and broker may hang up on it. The proof is that other messages pass. */
#ifndef RELAY_CORE_CUTS_H
#define RELAY_CORE_CUTS_H

#include <stdint.h>

/* At most so many are remembered; a new one replaces the oldest. */
#define CUTS_KEPT 16
/* After so many cuts the message is set aside, so that others are tried; the network may still be the cause. */
#define CUTS_ASIDE 3
/* From so many cuts on the message is at fault: after the first three, a cut counts only if others went through since
 * the one before. */
#define CUTS_BLAMED 5

struct cut {
    int64_t id;
    uint32_t count; /* 0: free */
    uint64_t passed;
};

struct cuts {
    struct cut kept[CUTS_KEPT];
    uint32_t next; /* replaced next */
    uint32_t count;
};

/* The message was alone in a cut once more; gives its count. passed: how many messages have gone through so far. From
 * CUTS_ASIDE on the cut counts only if this number has grown since the last one. */
uint32_t cuts_note(struct cuts *cuts, int64_t id, uint64_t passed);

/* The message went through. */
void cuts_clear(struct cuts *cuts, int64_t id);
/* From now on the same ids may be other messages. */
void cuts_clear_all(struct cuts *cuts);

#endif
