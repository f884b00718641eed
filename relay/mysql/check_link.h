/* relay/mysql/check_link.h - the part of `check` that is about the link to the server. */
#ifndef RELAY_MYSQL_CHECK_LINK_H
#define RELAY_MYSQL_CHECK_LINK_H

#include "relay/config/config.h"
#include "relay/mysql/session.h"
#include "relay/ports/report.h"

/* How fast the link is: advice where a whole batch would take more than half of the lease, and nothing else. Takes at most
 * some 3 s, after which the session is only good to be closed: over a slow link an answer is still on its way. */
void my_check_link(struct report *report, const struct source_config *source,
                   struct my_session *session);

#endif
