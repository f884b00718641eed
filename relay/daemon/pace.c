#include "relay/daemon/pace.h"

void
pace_piece(struct pace *pace, uint64_t now_us)
{
    if (now_us < pace->crowded_until_us) {
        return;
    }
    if (now_us >= pace->since_us + PACE_CROWD_US) {
        pace->since_us = now_us;
        pace->pieces = 0;
    }
    pace->pieces++;
    if (pace->pieces >= PACE_CROWD) {
        *pace = (struct pace){.crowded_until_us = now_us + PACE_KEEP_US};
    }
}

uint64_t
pace_rest_us(const struct pace *pace, uint64_t now_us)
{
    return now_us < pace->crowded_until_us ? PACE_SLOT_US - now_us % PACE_SLOT_US : 0;
}
