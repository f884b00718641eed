/* relay/mysql/init_private.h - the part of `init` for the binary log. */
#ifndef RELAY_MYSQL_INIT_PRIVATE_H
#define RELAY_MYSQL_INIT_PRIVATE_H

#include "relay/config/config.h"
#include "relay/mysql/session.h"
#include "relay/ports/report.h"

/* There must be an outbox. Reports what is missing for reading the log: a problem with mode "tail", advice with "auto";
 * with "poll" nothing is checked. Creates nothing: the server itself decides how long it keeps its log. */
void init_mysql_tail(struct report *report, const struct source_config *source,
                     struct my_session *session);

#endif
