/* relay/check.h - looks whether everything that the configuration names is there and fit to be used, and says of what is
 * not what to do about it. Foreground; may block for as long as the servers' timeouts. */
#ifndef RELAY_CHECK_H
#define RELAY_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"
#include "relay/config.h"

/* Where the findings go: "ok       words", "advice   words" or "problem  words", one line each. */
struct check {
    FILE *out;
    size_t problems;
};

/* All databases and brokers. True if there is no problem. */
bool check_run(const struct config *config, FILE *out) MUST_CHECK;

/* One finding. Advice is what works, but could be better. */
void check_ok(struct check *check, const char *format, ...) PRINTF_LIKE(2, 3);
void check_advice(struct check *check, const char *format, ...) PRINTF_LIKE(2, 3);
void check_problem(struct check *check, const char *format, ...) PRINTF_LIKE(2, 3);

/* check_postgres.c: the source's database. */
void check_postgres(struct check *check, const struct source_config *source);

/* check_broker.c: the broker, and the default exchange of each source that uses it. */
void check_broker(struct check *check, const struct config *config,
                  const struct broker_config *broker);

#endif
