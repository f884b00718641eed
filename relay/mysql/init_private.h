/* relay/mysql/init_private.h - the part of `init` that is about the binary log. */
#ifndef RELAY_MYSQL_INIT_PRIVATE_H
#define RELAY_MYSQL_INIT_PRIVATE_H

#include "relay/config/config.h"
#include "relay/mysql/session.h"
#include "relay/ports/report.h"

/* There must be an outbox. Says what is lacking for the log to be read: with mode "tail" that is a problem, with "auto" it is
 * advice; with "poll" nothing is looked at. Nothing is made, as a server keeps its log by rules of its own. */
void init_mysql_tail(struct report *report, const struct source_config *source,
                     struct my_session *session);

#endif
