#include "relay/daemon/outage.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define SAY_AGAIN_US (60 * CLOCK_S_US)
#define QUOTA_US (60 * CLOCK_S_US)

void
outage_init(struct outage *outage)
{
    *outage = (struct outage){.lasts = true};
}

bool
outage_is_news(struct outage *outage, const char *reason, uint64_t now_us)
{
    if (outage->lasts && strcmp(outage->reason, reason) == 0 &&
        now_us - outage->said_us < SAY_AGAIN_US) {
        return false;
    }
    outage->lasts = true;
    outage->said_us = now_us;
    (void)snprintf(outage->reason, sizeof(outage->reason), "%s", reason); /* cut is fine */
    return true;
}

bool
outage_over(struct outage *outage)
{
    const bool lasted = outage->lasts;
    *outage = (struct outage){0};
    return lasted;
}

bool
quota_take(struct quota *quota, uint64_t now_us)
{
    if (quota->left_out == 0 && now_us - quota->since_us >= QUOTA_US) {
        *quota = (struct quota){.since_us = now_us};
    }
    if (quota->lines < QUOTA_LINES) {
        quota->lines++;
        return true;
    }
    quota->left_out++;
    return false;
}

uint64_t
quota_left_out(struct quota *quota, uint64_t now_us)
{
    const uint64_t left_out = quota->left_out;
    if (left_out == 0 || now_us - quota->since_us < QUOTA_US) {
        return 0;
    }
    *quota = (struct quota){.since_us = now_us};
    return left_out;
}
