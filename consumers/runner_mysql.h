/* runner_mysql.h - the runner's session with MariaDB or MySQL: made when it is needed, dropped when it fails or is no longer what
 * it was, and what a failure means. */
#ifndef CONSUMERS_RUNNER_MYSQL_H
#define CONSUMERS_RUNNER_MYSQL_H

#include <inbox/inbox_runner_mysql.h>

#include "consumers/runner_options.h"
#include "consumers/runner_session.h"

/* Connects to nothing yet. The options are borrowed. NULL: no memory. Ended by the kind's `free`. */
struct runner_session *runner_mysql_new(const struct runner_options *options,
                                        inbox_mysql_connect_fn connect, inbox_mysql_apply_fn apply);

/* What an error number of the server or of the client library says; 0, none: of a message. */
enum runner_fault runner_mysql_fault(unsigned number);

#endif
