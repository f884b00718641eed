#include "relay/ports/halving.h"

static size_t
at_most(size_t size, size_t most)
{
    return size < most ? size : most;
}

void
halving_begin(struct halving *halving, size_t count)
{
    *halving = (struct halving){.count = count, .size = count};
}

bool
halving_taken(struct halving *halving)
{
    halving->at += halving->size;
    halving->size = at_most(2 * halving->size, halving->count - halving->at);
    return halving->size > 0;
}

bool
halving_refused(struct halving *halving)
{
    if (halving->size <= 1) {
        return false;
    }
    halving->size /= 2;
    return true;
}
