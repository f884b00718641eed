/* relay/core/cuts.h - messages that were alone on their way when a connection ended without a word of the broker's, and
 * how often that happened since one of them went through. Once it is chance: networks fail. A few times in a row it may
 * be the message: something between relay and broker that cannot bear it hangs up. Then others must show that they pass. */
#ifndef RELAY_CORE_CUTS_H
#define RELAY_CORE_CUTS_H

#include <stdint.h>

/* More are not remembered; the one that was noted first is forgotten. */
#define CUTS_KEPT 16
/* After so many the message is set aside, so that others are tried; the network may still be what fails. */
#define CUTS_ASIDE 3
/* From so many on, with others through between any two after the first three, it is the message. */
#define CUTS_BLAMED 5

struct cut {
    int64_t id;
    uint32_t count; /* 0: free */
    uint64_t passed;
};

struct cuts {
    struct cut kept[CUTS_KEPT];
    uint32_t next; /* to be forgotten */
    uint32_t count;
};

/* It was alone once more. passed: how many messages went through so far; from CUTS_ASIDE on it counts only if some did since
 * the last time. How often it was, then. */
uint32_t cuts_note(struct cuts *cuts, int64_t id, uint64_t passed);

/* It went through. */
void cuts_clear(struct cuts *cuts, int64_t id);
/* The ids mean other messages from here on. */
void cuts_clear_all(struct cuts *cuts);

#endif
