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

const struct database_key *
database_kind_key(const struct database_kind *kind, const char *name)
{
    const struct database_key *key = kind->keys;
    while (key->name != NULL && strcmp(key->name, name) != 0) {
        key++;
    }
    return key->name != NULL ? key : NULL;
}

bool
database_kinds_own(const struct database_kind *const *kinds, const char *name)
{
    while (*kinds != NULL && database_kind_key(*kinds, name) == NULL) {
        kinds++;
    }
    return *kinds != NULL;
}
