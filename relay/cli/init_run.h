/* relay/cli/init_run.h - `outbox-relay init`: creates the outbox tables, what tailing needs, and what the configuration
 * wants on the brokers. Foreground; may block. */
#ifndef RELAY_CLI_INIT_RUN_H
#define RELAY_CLI_INIT_RUN_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "relay/config/config.h"

/* First in each source's database, then on each broker (relay/rabbit/topology.h); lines go to `out`. True if all
 * databases now have the tables of our version, those with mode "tail" all that a relay needs for it, and the brokers
 * all that is wanted. */
bool init_run(struct config *config, FILE *out) MUST_CHECK;

#endif
