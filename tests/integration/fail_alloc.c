#include "tests/integration/fail_alloc.h"

#include <stddef.h>

/* Names defined by the linker: ld(1), --wrap. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static unsigned left;
static bool happened;

void
fail_alloc_arm(unsigned nth)
{
    left = nth;
    happened = false;
}

bool
fail_alloc_happened(void)
{
    return happened;
}

static bool
fails_now(void)
{
    if (left == 0 || --left > 0) {
        return false;
    }
    happened = true;
    return true;
}

void *
__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
    return fails_now() ? NULL : __real_realloc(old, size);
}
