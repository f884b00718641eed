#include "relay/ports/database.h"

#include <string.h>

const struct database_kind *
database_kind_find(const struct database_kind *const *kinds, const char *name)
{
    while (*kinds != NULL && strcmp((*kinds)->name, name) != 0) {
        kinds++;
    }
    return *kinds;
}
