/* relay/mysql/check_link.h - the part of `check` for the link to the server. */
#ifndef RELAY_MYSQL_CHECK_LINK_H
#define RELAY_MYSQL_CHECK_LINK_H

#include "relay/config/config.h"
#include "relay/mysql/session.h"
#include "relay/ports/report.h"

/* Measures the link: advice if a whole batch would take more than half of the lease, else nothing. Takes at most about
 * 3 s. After that the session can only be closed: over a slow link an answer is still on its way. */
void my_check_link(struct report *report, const struct source_config *source,
                   struct my_session *session);

#endif
