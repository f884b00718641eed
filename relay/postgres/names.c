#include "relay/postgres/names.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_LENGTH (POSTGRES_NAME_BYTES - 1)

static const char slot_letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

static void
normalize(char *name)
{
    for (char *at = name; *at != '\0'; at++) {
        if (*at >= 'A' && *at <= 'Z') {
            *at = (char)(*at - 'A' + 'a');
        } else if (strchr(slot_letters, *at) == NULL) {
            *at = '_';
        }
    }
}

static void
choose(const char *configured, char name[POSTGRES_NAME_BYTES])
{
    if (configured != NULL) {
        (void)snprintf(name, POSTGRES_NAME_BYTES, "%s", configured); /* was checked: fits */
    } else {
        normalize(name);
    }
}

void
postgres_slot_name(const char *configured, const char *database, const char *schema,
                   char ret_name[POSTGRES_NAME_BYTES])
{
    (void)snprintf(ret_name, POSTGRES_NAME_BYTES, "outbox_relay_%s_%s", database,
                   schema); /* cut is fine */
    choose(configured, ret_name);
}

void
postgres_publication_name(const char *configured, const char *schema,
                          char ret_name[POSTGRES_NAME_BYTES])
{
    (void)snprintf(ret_name, POSTGRES_NAME_BYTES, "outbox_relay_%s", schema); /* cut is fine */
    choose(configured, ret_name);
}

bool
postgres_slot_check(const char *name, struct error *reterr)
{
    const size_t length = strlen(name);
    return (length > 0 && length <= NAME_MAX_LENGTH && strspn(name, slot_letters) == length) ||
           error_set(reterr, ERROR_CONFIG, "expected 1 to %d characters of a to z, 0 to 9 and _",
                     NAME_MAX_LENGTH);
}

bool
postgres_publication_check(const char *name, struct error *reterr)
{
    const size_t length = strlen(name);
    return (length > 0 && length <= NAME_MAX_LENGTH) ||
           error_set(reterr, ERROR_CONFIG, "expected 1 to %d bytes", NAME_MAX_LENGTH);
}
