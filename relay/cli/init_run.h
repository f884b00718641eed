/* relay/cli/init_run.h - creates the outbox tables, the publication and what is wanted on the brokers, for `outbox-relay
 * init`. Foreground; may block.
 *
 * It does not create the replication slot. Whoever may read a slot may create it, so the relay does, and it must be able to
 * in any case, for slots get lost. What a slot that nobody reads keeps of the log, only a relay that runs can bound
 * (wal_retain_max). */
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

/* The SQL that init runs where there is nothing yet, a transaction around it; it says which part migrates. */
void init_print(FILE *out, const char *schema);

/* One line: "ok       source "orders": words". Servers' words may be among them: nothing of them reaches the terminal as it
 * is. The caller looks at the stream. */
void init_say(FILE *out, const char *word, const char *scope, const char *name, const char *words);

#endif
