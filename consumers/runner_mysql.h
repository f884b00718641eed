/* runner_mysql.h - the runner's session with MariaDB or MySQL. It is made when it is needed, and dropped when it fails
 * or its state has changed. Also what a failure means. */
#ifndef CONSUMERS_RUNNER_MYSQL_H
#define CONSUMERS_RUNNER_MYSQL_H

#include <inbox/inbox_runner_mysql.h>

#include "consumers/runner_options.h"
#include "consumers/runner_session.h"

/* Does not connect. Keeps `options` by reference. NULL: no memory. The kind's `free` frees it. */
struct runner_session *runner_mysql_new(const struct runner_options *options,
                                        inbox_mysql_connect_fn connect, inbox_mysql_apply_fn apply);

/* What an error number of the server or the client library means; 0, no error: RUNNER_FAULT_MESSAGE. */
enum runner_fault runner_mysql_fault(unsigned number);

#endif
