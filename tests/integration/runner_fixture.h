/* tests/integration/runner_fixture.h - a runner in a thread, a queue and a database of the test's own, of the kind that
 * db_fixture.h says, and an application whose effect is one row in table `applied` for each message, in which the body asks for
 * accidents. For Criterion. */
#ifndef TESTS_INTEGRATION_RUNNER_FIXTURE_H
#define TESTS_INTEGRATION_RUNNER_FIXTURE_H

#include <inbox/inbox_delivery.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "tests/integration/db_fixture.h"
#include "tests/integration/queue_fixture.h"

/* Those of inbox_runner.h and inbox_runner_mysql.h, which have the same names. */
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
extern atomic_int runner_fixture_calls;  /* of apply */
extern char runner_fixture_report[1100]; /* the last one; read it when no runner runs */

extern char runner_fixture_broker_lost
    [1100]; /* the text of the last of that name; read it before the next */

/* How often it was reported: database_outage, session_changed, transaction_ended, given_back, broker_lost. */
int runner_fixture_reports(const char *event);

void runner_fixture_setup(void);
void runner_fixture_setup_kind(const struct queue_fixture_kind *kind);
void runner_fixture_teardown(void);

/* Statements that each kind of database has its own way for. */
enum runner_fixture_sql {
    SQL_LACKS_A_RIGHT, /* fail as if it did, or as if it were so: */
    SQL_MEETS_A_LIMIT,
    SQL_WANTS_A_FILE,
    SQL_MEETS_A_LOCK,
    SQL_ENDS_ITS_SESSION,
    SQL_SLEEPS,             /* for an hour */
    SQL_CHANGES_NAMES,      /* leaves the session so that a table's name means another one */
    SQL_CHANGES_RIGHTS,     /* … with another role */
    SQL_SHADOWS_THE_INBOX,  /* … with a temporary table */
    SQL_ONLY_READS,         /* … read only */
    SQL_LIMITS_TIME,        /* … with a time that no statement can keep */
    SQL_FORGETS_STATEMENTS, /* … without what was prepared */
    SQL_LAST_NUMBER,    /* an expression: `no` of the row that the transaction has inserted last */
    SQL_APPLIED,        /* all ids in table applied, in order, with a space between them */
    SQL_TRANSACTIONS,   /* how many transactions have written what is in applied */
    SQL_SILENCE,        /* what the server was told about clients that go silent, */
    SQL_SILENCE_ANSWER, /* and what it then says: no statement */
    SQL_COUNT
};
const char *runner_fixture_sql(enum runner_fixture_sql which);

/* So many of the messages whose body begins with "accident" will meet theirs; later ones are applied. The bodies: reject,
 * bad sql, bad at commit, and accident: retry, outage, deadlock, "deadlock, and more", backend, commit,
 * broker, kill, stop, slow; "accident sql: …" executes that, "sql: …" does so always and fails if it fails. */
void runner_fixture_accidents(int count);
inbox_apply runner_fixture_apply(void *context, struct db *tx,
                                 const struct inbox_delivery *delivery);

/* Executes statements, with "; " between them, until one fails, which it tells. */
bool runner_fixture_execute(struct db *tx, const char *sql);

/* Lets the server end the session because nothing comes from it, and returns when it has. */
void runner_fixture_dawdle(struct db *tx);

/* For the queue and the database, short pauses, three attempts. */
struct runner_fixture_options runner_fixture_options(void);

/* A second database, in an encoding that lacks most characters, with the tables; and how to reach it. False: the inbox of this
 * kind of database takes every id all the same. */
bool runner_fixture_create_narrow(struct db **ret_db, const char **ret_dsn);
void runner_fixture_drop_narrow(struct db *db);

/* The server takes no writes of the runner, or does again. The kind may need a server of its own for that, of this name; NULL: it
 * does not. */
const char *runner_fixture_own_server(void);
void runner_fixture_refuse_writes(bool refuse);

/* Whether the runner's session waits, for a lock or because it sleeps; ends all sessions of runners. */
bool runner_fixture_waits(void);
void runner_fixture_end_sessions(void);

void runner_fixture_publish(const char *id, const char *key, const char *body);
void runner_fixture_publish_many(int count); /* m1, m2, … of one key */

/* One runner at a time. Stop and join free it. */
void runner_fixture_start(const struct runner_fixture_options *options);
/* Lets the runner apply two messages of which nothing is seen later on: it then takes several into its hands. */
void runner_fixture_warm_up(void);
struct inbox_runner_counters runner_fixture_counters(void); /* since then */
void runner_fixture_wait(
    uint64_t count); /* until so many messages are applied, duplicates or rejected; at most 30 s */
struct inbox_runner_counters runner_fixture_stop(void);
struct inbox_runner_counters runner_fixture_join(void);

/* One in a process of its own, any number of them. SIGTERM stops it, and it then ends with status 0. It does not outlive
 * the test. */
pid_t runner_fixture_spawn(const struct runner_fixture_options *options);
int
runner_fixture_reap(pid_t child); /* waits for its end, 60 s at most: its status, as of waitpid */

/* Runs one in a child process, which must end by SIGKILL. */
void runner_fixture_run_killed(const struct runner_fixture_options *options);

/* The ids that were applied, in order, with a space between them. Good until the next query. */
const char *runner_fixture_applied(void);

/* The queue gives this many messages to another consumer before one that is published now: what is acknowledged does not
 * come again. */
void runner_fixture_expect_left(uint64_t count);

#endif
