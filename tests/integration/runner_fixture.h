/* tests/integration/runner_fixture.h - a runner in a thread, a queue and a database of the test's own, and an application
 * whose effect is one row in table `applied` for each message, in which the body asks for accidents. For Criterion. */
#ifndef TESTS_INTEGRATION_RUNNER_FIXTURE_H
#define TESTS_INTEGRATION_RUNNER_FIXTURE_H

#include <inbox/inbox_runner.h>
#include <libpq-fe.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "tests/integration/queue_fixture.h"

extern PGconn *runner_fixture_conn;
extern atomic_int runner_fixture_calls;  /* of apply */
extern char runner_fixture_report[1100]; /* the last one; read it when no runner runs */

extern char runner_fixture_broker_lost
    [1100]; /* the text of the last of that name; read it before the next */

/* How often it was reported: database_outage, session_changed, transaction_ended, given_back, broker_lost. */
int runner_fixture_reports(const char *event);

void runner_fixture_setup(void);
void runner_fixture_setup_kind(const struct queue_fixture_kind *kind);
void runner_fixture_teardown(void);

/* So many of the messages whose body begins with "accident" will meet theirs; later ones are applied. The bodies: reject,
 * bad sql, bad at commit, and accident: retry, outage, deadlock, "deadlock, and more", backend, commit,
 * broker, kill, stop, slow; "accident sql: …" executes that, "sql: …" does so always and fails if it fails. */
void runner_fixture_accidents(int count);
inbox_apply runner_fixture_apply(void *context, PGconn *tx, const struct inbox_delivery *delivery);

/* For the queue and the database, short pauses, three attempts. */
struct inbox_runner_options runner_fixture_options(void);

void runner_fixture_publish(const char *id, const char *key, const char *body);
void runner_fixture_publish_many(int count); /* m1, m2, … of one key */

/* One runner at a time. Stop and join free it. */
void runner_fixture_start(const struct inbox_runner_options *options);
/* Lets the runner apply two messages of which nothing is seen later on: it then takes several into its hands. */
void runner_fixture_warm_up(void);
struct inbox_runner_counters runner_fixture_counters(void); /* since then */
void runner_fixture_wait(
    uint64_t count); /* until so many messages are applied, duplicates or rejected; at most 30 s */
struct inbox_runner_counters runner_fixture_stop(void);
struct inbox_runner_counters runner_fixture_join(void);

/* One in a process of its own, any number of them. SIGTERM stops it, and it then ends with status 0. It does not outlive
 * the test. */
pid_t runner_fixture_spawn(const struct inbox_runner_options *options);
int
runner_fixture_reap(pid_t child); /* waits for its end, 60 s at most: its status, as of waitpid */

/* Runs one in a child process, which must end by SIGKILL. */
void runner_fixture_run_killed(const struct inbox_runner_options *options);

/* The ids that were applied, in order, with a space between them. Good until the next query. */
const char *runner_fixture_applied(void);

/* The queue gives this many messages to another consumer before one that is published now: what is acknowledged does not
 * come again. */
void runner_fixture_expect_left(uint64_t count);

#endif
