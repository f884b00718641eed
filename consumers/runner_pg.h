/* runner_pg.h - the runner's session with PostgreSQL. It is made when it is needed, and dropped when it fails or its
 * state has changed. Also what a failure means. */
#ifndef CONSUMERS_RUNNER_PG_H
#define CONSUMERS_RUNNER_PG_H

#include <inbox/inbox_runner.h>

#include "consumers/runner_options.h"
#include "consumers/runner_session.h"

/* Does not connect. Keeps `options` by reference. NULL: no memory. The kind's `free` frees it. */
struct runner_session *runner_pg_new(const struct runner_options *options, inbox_connect_fn connect,
                                     inbox_apply_fn apply);

/* What an SQLSTATE means. */
enum runner_fault runner_pg_fault(const char *sqlstate);

#endif
