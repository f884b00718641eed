/* relay/busy.h - which keys have messages on their way to the broker. Counts by a part of the key's hash: two keys may share
 * a place, which makes one wait for the other now and then and never lets one pass that must wait. Costs a step for each
 * message and no memory for each key. */
#ifndef RELAY_BUSY_H
#define RELAY_BUSY_H

#include <stdbool.h>
#include <stdint.h>

#define BUSY_PLACES 65536

struct busy {
    uint32_t *counts; /* BUSY_PLACES of them */
};

void busy_init(struct busy *busy);
void busy_done(struct busy *busy);

void busy_add(struct busy *busy, int64_t key_hash);
void busy_remove(struct busy *busy, int64_t key_hash); /* after an add */
bool busy_has(const struct busy *busy, int64_t key_hash);

#endif
