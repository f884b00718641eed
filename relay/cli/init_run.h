/* relay/cli/init_run.h - creates the outbox tables, the publication and what is wanted on the brokers, for `outbox-relay
 * init`. Foreground; may block. */
#ifndef RELAY_CLI_INIT_RUN_H
#define RELAY_CLI_INIT_RUN_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "relay/config/config.h"

/* In each source's database, its lines to `out`, and then on each broker what the configuration wants there
 * (relay/rabbit/topology.h). True if all have the tables of our version now, those with mode "tail" all that a relay needs
 * for it, and the brokers what is wanted. */
bool init_run(const struct config *config, FILE *out) MUST_CHECK;

#endif
