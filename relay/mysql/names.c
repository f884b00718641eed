#include "relay/mysql/names.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "outbox_relay_"
#define HASH_BYTES 17 /* _ and 16 digits */
#define PART_MAX (MY_LOCK_BYTES - sizeof(PREFIX) - HASH_BYTES)

static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

/* FNV-1a, 64 bits. */
static uint64_t
hash(const char *text)
{
    uint64_t value = UINT64_C(14695981039346656037);
    for (; *text != '\0'; text++) {
        value = (value ^ (uint8_t)*text) * UINT64_C(1099511628211);
    }
    return value;
}

void
my_lock_name(const char *database, char ret_name[MY_LOCK_BYTES])
{
    const size_t length = strlen(database);
    const size_t part = strspn(database, plain);
    if (part == length && length < MY_LOCK_BYTES - (sizeof(PREFIX) - 1)) {
        (void)snprintf(ret_name, MY_LOCK_BYTES, PREFIX "%s", database); /* fits */
        return;
    }
    const size_t kept = part < PART_MAX ? part : PART_MAX;
    (void)snprintf(ret_name, MY_LOCK_BYTES, PREFIX "%.*s_%016" PRIx64, (int)kept, database,
                   hash(database)); /* fits */
}

void
my_mark_name(const char *database, char ret_name[MY_MARK_BYTES])
{
    (void)snprintf(ret_name, MY_MARK_BYTES, PREFIX "%016" PRIx64 "_", hash(database)); /* fits */
}

void
my_fit_name(const char *database, char ret_name[MY_MARK_BYTES])
{
    (void)snprintf(ret_name, MY_MARK_BYTES, "outbox_fit_%016" PRIx64, hash(database)); /* fits */
}
