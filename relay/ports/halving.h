/* relay/ports/halving.h - a list that is handed on in parts: all of it at once, and where that fails, by halves, down to
 * the one that is to blame. What stands before a part is through. */
#ifndef RELAY_PORTS_HALVING_H
#define RELAY_PORTS_HALVING_H

#include <stdbool.h>
#include <stddef.h>

struct halving {
    size_t count;
    size_t at;   /* the part that is out begins here, */
    size_t size; /* and has so many; 0: none is left */
};

/* All of `count`. */
void halving_begin(struct halving *halving, size_t count);
/* The part was taken: on to the next, twice as large. False if that was all. */
bool halving_taken(struct halving *halving);
/* The part was refused. True if it is less now; false if it was one, which is to blame: halving_taken goes on behind it. */
bool halving_refused(struct halving *halving);

#endif
