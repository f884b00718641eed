/* relay/ports/report.h - what `check` finds and `init` does: what is good, what could be better, and what is in the way, each
 * in words that name what they are about and say what to do. Who looks at a database or a broker says it here, and knows
 * nothing of how it is shown. */
#ifndef RELAY_PORTS_REPORT_H
#define RELAY_PORTS_REPORT_H

#include <stddef.h>

#include "base/error.h"

/* Where the lines go: `word` is "ok", "advice" or "problem". The words may be a server's, and hold anything. */
struct report {
    void (*tell)(void *context, const char *word, const char *words);
    void *context;
    size_t problems;
};

/* One line each. Advice is what works, but could be better. */
void report_ok(struct report *report, const char *format, ...) PRINTF_LIKE(2, 3);
void report_advice(struct report *report, const char *format, ...) PRINTF_LIKE(2, 3);
void report_problem(struct report *report, const char *format, ...) PRINTF_LIKE(2, 3);

/* What is lacking for something, told one by one: `check` takes each for advice, a source the first for its reason. */
struct lacks {
    void (*tell)(void *context, const char *words);
    void *context;
    size_t count;
};

/* Words of more than 599 bytes are cut. */
void report_lack(struct lacks *lacks, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
