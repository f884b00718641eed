/* tests/integration/runner_fixture.h - a runner in a thread, with a private queue and a private database, of the kind
 * of db_fixture.h, and an application whose effect is one row in table `applied` for each message. The body of a
 * message can ask for failures ("accidents"). For Criterion. */
#ifndef TESTS_INTEGRATION_RUNNER_FIXTURE_H
#define TESTS_INTEGRATION_RUNNER_FIXTURE_H

#include <inbox/inbox_delivery.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "tests/integration/db_fixture.h"
#include "tests/integration/queue_fixture.h"

/* The options of inbox_runner.h and inbox_runner_mysql.h, which have the same names. */
struct runner_fixture_options {
    const char *broker_uri;
    const char *broker_password;
    const char *queue;
    const char *consumer;
    const char *dsn;
    struct db *(*connect)(void *context); /* NULL: by the dsn */
    inbox_apply (*apply)(void *context, struct db *tx, const struct inbox_delivery *delivery);
    inbox_report_fn report;
    void *context;
    struct inbox_runner_hint hint;
    uint32_t batch_max;
    uint32_t batch_wait_ms;
    uint32_t prefetch;
    uint32_t attempts_max;
    uint32_t retry_initial_ms;
    uint32_t retry_max_ms;
    uint32_t heartbeat_s;
    uint32_t stop_timeout_ms;
};

extern struct db *runner_fixture_db;
extern atomic_int runner_fixture_calls;  /* calls of apply */
extern char runner_fixture_report[1100]; /* the last report; to be read when no runner runs */

/* The text of the last report of that name; to be read before the next one. */
extern char runner_fixture_broker_lost[1100];

/* How often this event was reported: database_outage, session_changed, transaction_ended, given_back, broker_lost. */
int runner_fixture_reports(const char *event);

void runner_fixture_setup(void);
void runner_fixture_setup_kind(const struct queue_fixture_kind *kind);
void runner_fixture_teardown(void);

/* Statements that differ between the kinds of database. */
enum runner_fixture_sql {
    SQL_LACKS_A_RIGHT, /* fail as if it did, or as if it were so: */
    SQL_MEETS_A_LIMIT,
    SQL_WANTS_A_FILE,
    SQL_MEETS_A_LOCK,
    SQL_ENDS_ITS_SESSION,
    SQL_SLEEPS,             /* sleeps for an hour */
    SQL_CHANGES_NAMES,      /* leaves the session so that a table's name means another table */
    SQL_CHANGES_RIGHTS,     /* … with another role */
    SQL_SHADOWS_THE_INBOX,  /* … with a temporary table */
    SQL_ONLY_READS,         /* … read only */
    SQL_LIMITS_TIME,        /* … with a time limit that every statement exceeds */
    SQL_FORGETS_STATEMENTS, /* … without its prepared statements */
    SQL_LAST_NUMBER,    /* an expression: `no` of the row that the transaction has inserted last */
    SQL_APPLIED,        /* all ids in table applied, in order, with a space between them */
    SQL_TRANSACTIONS,   /* how many transactions have written the rows of applied */
    SQL_SILENCE,        /* the server's settings for clients that go silent */
    SQL_SILENCE_ANSWER, /* and the values that they must have; not a statement */
    SQL_COUNT
};
const char *runner_fixture_sql(enum runner_fixture_sql which);

/* Only this many messages whose body begins with "accident" have their accident; later ones are applied. The bodies:
 * reject, bad sql, bad at commit, and accident: retry, outage, deadlock, "deadlock, and more", backend, commit, broker,
 * kill, stop, slow; "accident sql: …" executes that, "sql: …" always does and fails if it fails. */
void runner_fixture_accidents(int count);
inbox_apply runner_fixture_apply(void *context, struct db *tx,
                                 const struct inbox_delivery *delivery);

/* Executes statements, with "; " between them, until one fails; false then. */
bool runner_fixture_execute(struct db *tx, const char *sql);

/* Waits until the server has ended the session because nothing came from it. */
void runner_fixture_dawdle(struct db *tx);

/* The options for this queue and database, with short pauses and three attempts. */
struct runner_fixture_options runner_fixture_options(void);

/* A second database with the tables, in an encoding that lacks most characters, and its dsn. False: the inbox of this
 * kind of database takes every id. */
bool runner_fixture_create_narrow(struct db **ret_db, const char **ret_dsn);
void runner_fixture_drop_narrow(struct db *db);

/* Makes the server refuse writes of the runner, or accept them again. If the kind needs a server of its own for that,
 * runner_fixture_own_server is its name, else NULL. */
const char *runner_fixture_own_server(void);
void runner_fixture_refuse_writes(bool refuse);

/* True if the runner's session waits, for a lock or because it sleeps; and ends all sessions of runners. */
bool runner_fixture_waits(void);
void runner_fixture_end_sessions(void);

void runner_fixture_publish(const char *id, const char *key, const char *body);
void runner_fixture_publish_many(int count); /* m1, m2, … of one key */

/* One runner at a time. Stopping and joining free it. */
void runner_fixture_start(const struct runner_fixture_options *options);
/* Lets the runner apply two messages, which are not counted later, so that it then takes several messages at a time. */
void runner_fixture_warm_up(void);
struct inbox_runner_counters runner_fixture_counters(void); /* since the warm-up */
/* Until so many messages are applied, duplicates or rejected; at most 30 s. */
void runner_fixture_wait(uint64_t count);
struct inbox_runner_counters runner_fixture_stop(void);
struct inbox_runner_counters runner_fixture_join(void);

/* Starts a runner in a process of its own; there may be several. SIGTERM stops it, and then it exits with status 0. It
 * does not outlive the test. */
pid_t runner_fixture_spawn(const struct runner_fixture_options *options);
int
runner_fixture_reap(pid_t child); /* waits for its end, at most 60 s; its status, as from waitpid */

/* Runs a runner in a child process, which must end by SIGKILL. */
void runner_fixture_run_killed(const struct runner_fixture_options *options);

/* The applied ids in order, with a space between them. Valid until the next query. */
const char *runner_fixture_applied(void);

/* Checks that the queue gives this many messages to another consumer before one that is published now: acknowledged
 * messages do not come again. */
void runner_fixture_expect_left(uint64_t count);

#endif
