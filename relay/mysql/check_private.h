/* relay/mysql/check_private.h - the part of `check` for the binary log. */
#ifndef RELAY_MYSQL_CHECK_PRIVATE_H
#define RELAY_MYSQL_CHECK_PRIVATE_H

#include "relay/config/config.h"
#include "relay/ports/report.h"

/* There must be an outbox. Reads the beginning of the log as the relay does, over a connection of its own. What is
 * missing for tailing is a problem with mode "tail", and advice with "auto"; with "poll" nothing is checked. */
void check_mysql_tail(struct report *report, const struct source_config *source);

#endif
