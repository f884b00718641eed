/* relay/ports/halving.h - processes a list in parts: all of it at once, and if that fails, by halves, down to the one
 * item that is to blame. Everything before the current part is done. */
#ifndef RELAY_PORTS_HALVING_H
#define RELAY_PORTS_HALVING_H

#include <stdbool.h>
#include <stddef.h>

struct halving {
    size_t count;
    size_t at;   /* start of the current part */
    size_t size; /* its size; 0: none is left */
};

/* Starts with all `count` items as one part. */
void halving_begin(struct halving *halving, size_t count);
/* The part succeeded: go on with the next one, twice as large. False if that was all. */
bool halving_taken(struct halving *halving);
/* The part failed. True: it is smaller now. False: it was one item, which is to blame; halving_taken goes on behind it. */
bool halving_refused(struct halving *halving);

#endif
