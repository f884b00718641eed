#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

void
memory_exhausted(void)
{
    (void)fputs("outbox-relay: out of memory\n", stderr); /* nothing more can be done about it */
    abort();
}

static void *
or_abort(void *memory)
{
    if (memory == NULL) {
        memory_exhausted();
    }
    return memory;
}

void *
memory_array(size_t count, size_t size)
{
    return or_abort(calloc(count > 0 ? count : 1, size));
}

char *
memory_string(const char *text)
{
    return or_abort(strdup(text));
}

void
memory_free(void *memory)
{
    free(memory);
}

void
memory_hide(void)
{
    const char *const wanted = getenv("OUTBOX_RELAY_CORE_DUMPS");
    if (wanted == NULL || strcmp(wanted, "yes") != 0) {
        const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
        (void)prctl(PR_SET_DUMPABLE, 0); /* cannot fail with this value */
        /* For the commands that it runs, which may be dumped otherwise; lower can be set by everybody. */
        (void)setrlimit(RLIMIT_CORE, &none);
    }
}
