/* relay/ports/report.h - collects what `check` finds and `init` does: what is good, what could be better, and what
 * prevents the relay from working. Each line names its subject and says what to do. The code that examines a database
 * or a broker reports here and does not know how the lines are shown. */
#ifndef RELAY_PORTS_REPORT_H
#define RELAY_PORTS_REPORT_H

#include <stddef.h>

#include "base/error.h"

/* Receives the lines: `word` is "ok", "advice" or "problem"; `words` may contain a server's text, and so anything. */
struct report {
    void (*tell)(void *context, const char *word, const char *words);
    void *context;
    size_t problems;
};

/* One line each. Advice: it works, but could be better. */
void report_ok(struct report *report, const char *format, ...) PRINTF_LIKE(2, 3);
void report_advice(struct report *report, const char *format, ...) PRINTF_LIKE(2, 3);
void report_problem(struct report *report, const char *format, ...) PRINTF_LIKE(2, 3);

/* Collects what is missing for something. `check` gives each as advice; a source takes the first as its reason. */
struct lacks {
    void (*tell)(void *context, const char *words);
    void *context;
    size_t count;
};

/* A text of more than 599 bytes is cut. */
void report_lack(struct lacks *lacks, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
