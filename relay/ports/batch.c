#include <stdlib.h>

#include "relay/ports/source.h"

void
batch_free(struct batch *batch)
{
    if (batch == NULL) {
        return;
    }
    if (batch->free_owner != NULL) {
        batch->free_owner(batch->owner);
    }
    free(batch->rows);
    free(batch);
}
