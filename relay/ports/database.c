#include "relay/ports/database.h"

#include <string.h>

#include "base/memory.h"

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

static char *
copy_name(const char *name, size_t size)
{
    const size_t length = size < DATABASE_NAME_BYTES_MAX ? size : DATABASE_NAME_BYTES_MAX;
    char *const copy = memory_array(length + 1, 1);
    for (size_t i = 0; i < length; i++) {
        copy[i] = name[i];
        if (name[i] == '\0') {
            copy[i] = '\001';
        }
    }
    return copy;
}

void
database_names_add(struct database_names *names, const char *name, size_t size)
{
    if (names->count == names->room) {
        names->room = 2 * names->room + 16;
        char **const longer = memory_array(names->room, sizeof(*longer));
        for (size_t i = 0; i < names->count; i++) {
            longer[i] = names->names[i];
        }
        memory_free(names->names);
        names->names = longer;
    }
    names->names[names->count++] = name == NULL ? NULL : copy_name(name, size);
}

void
database_names_done(struct database_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        memory_free(names->names[i]);
    }
    memory_free(names->names);
    *names = (struct database_names){.count = 0};
}
