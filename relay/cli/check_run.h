/* relay/cli/check_run.h - looks whether everything that the configuration names is there and fit to be used, and says of
 * what is not what to do about it. Foreground; may block for as long as the servers' timeouts. */
#ifndef RELAY_CLI_CHECK_RUN_H
#define RELAY_CLI_CHECK_RUN_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "relay/config/config.h"

/* All databases and brokers: "ok       words", "advice   words" or "problem  words", one line each. True if there is no
 * problem. */
bool check_run(const struct config *config, FILE *out) MUST_CHECK;

#endif
