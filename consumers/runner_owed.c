#include "consumers/runner_owed.h"

#include <stdlib.h>
#include <string.h>

static size_t
find(const struct runner_owed *owed, const char *id)
{
    size_t i = 0;
    while (i < owed->count && strcmp(owed->ids[i], id) != 0) {
        i++;
    }
    return i;
}

bool
runner_owed_has(const struct runner_owed *owed, const char *id)
{
    return find(owed, id) < owed->count;
}

bool
runner_owed_add(struct runner_owed *owed, const char *id)
{
    if (runner_owed_has(owed, id)) {
        return true;
    }
    char **ids = realloc(owed->ids, (owed->count + 1) * sizeof(*ids));
    if (ids == NULL) {
        return false;
    }
    owed->ids = ids;
    ids[owed->count] = strdup(id);
    if (ids[owed->count] == NULL) {
        return false;
    }
    owed->count++;
    return true;
}

void
runner_owed_remove(struct runner_owed *owed, const char *id)
{
    const size_t place = find(owed, id);
    if (place < owed->count) {
        free(owed->ids[place]);
        owed->ids[place] = owed->ids[--owed->count];
    }
}

void
runner_owed_done(struct runner_owed *owed)
{
    for (size_t i = 0; i < owed->count; i++) {
        free(owed->ids[i]);
    }
    free(owed->ids);
    *owed = (struct runner_owed){0};
}
