/* runner_pg.h - the runner's session with PostgreSQL: made when it is needed, dropped when it fails or is no longer what
 * it was, and what a failure means. */
#ifndef CONSUMERS_RUNNER_PG_H
#define CONSUMERS_RUNNER_PG_H

#include <inbox/inbox_runner.h>

#include "consumers/runner_options.h"
#include "consumers/runner_session.h"

/* Connects to nothing yet. The options are borrowed. NULL: no memory. Ended by the kind's `free`. */
struct runner_session *runner_pg_new(const struct runner_options *options, inbox_connect_fn connect,
                                     inbox_apply_fn apply);

/* What an SQLSTATE says. */
enum runner_fault runner_pg_fault(const char *sqlstate);

#endif
