/* base/memory.h - memory for the daemon: a failed allocation ends the process. That is safe, because the table is the truth
 * and another relay takes over; going on without memory would not be safe. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* Zeroed; never NULL. */
void *memory_array(size_t count, size_t size)
    __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
char *memory_string(const char *text) __attribute__((malloc, returns_nonnull));
void memory_free(void *memory);
/* For callers of a library that failed to allocate memory: reports it, and ends the process. */
_Noreturn void memory_exhausted(void);

/* Keeps this process out of core dumps and from debuggers, since passwords are in its memory, and the programs that it starts
 * out of core files; unless the environment says
 * OUTBOX_RELAY_CORE_DUMPS=yes. */
void memory_hide(void);

#endif
