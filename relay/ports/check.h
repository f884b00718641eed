/* relay/ports/check.h - what `check` finds: what is good, what could be better, and what is in the way, each in words
 * that say what to do about it. Who looks at a database or a broker says it here, and knows nothing of how it is shown. */
#ifndef RELAY_PORTS_CHECK_H
#define RELAY_PORTS_CHECK_H

#include <stddef.h>

#include "base/error.h"

/* Where the findings go: `word` is "ok", "advice" or "problem". The words may be a server's, and hold anything. */
struct check {
    void (*tell)(void *context, const char *word, const char *words);
    void *context;
    size_t problems;
};

/* One finding. Advice is what works, but could be better. */
void check_ok(struct check *check, const char *format, ...) PRINTF_LIKE(2, 3);
void check_advice(struct check *check, const char *format, ...) PRINTF_LIKE(2, 3);
void check_problem(struct check *check, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
