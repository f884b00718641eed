/* relay/mysql/check_private.h - the part of `check` that is about the binary log. */
#ifndef RELAY_MYSQL_CHECK_PRIVATE_H
#define RELAY_MYSQL_CHECK_PRIVATE_H

#include "relay/config/config.h"
#include "relay/ports/report.h"

/* There must be an outbox. Reads the beginning of the log, as the relay does, over a connection of its own. With mode "tail"
 * what is lacking is a problem, with "auto" it is advice; with "poll" nothing is looked at. */
void check_mysql_tail(struct report *report, const struct source_config *source);

#endif
