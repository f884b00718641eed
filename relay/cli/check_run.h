/* relay/cli/check_run.h - checks that everything that the configuration names exists and can be used, and says what to
 * do about the rest. Foreground; may block for as long as the servers' timeouts. */
#ifndef RELAY_CLI_CHECK_RUN_H
#define RELAY_CLI_CHECK_RUN_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "relay/config/config.h"

/* All databases and brokers: "ok       words", "advice   words" or "problem  words", one line each. True if there is no
 * problem. */
bool check_run(struct config *config, FILE *out) MUST_CHECK;

#endif
