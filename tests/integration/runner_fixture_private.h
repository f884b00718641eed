/* tests/integration/runner_fixture_private.h - the functions of a kind of database for runner_fixture.c. */
#ifndef TESTS_INTEGRATION_RUNNER_FIXTURE_PRIVATE_H
#define TESTS_INTEGRATION_RUNNER_FIXTURE_PRIVATE_H

#include "tests/integration/runner_fixture.h"

struct runner_fixture_kind {
    const char *sql[SQL_COUNT];
    const char *own_server;

    /* Creates the inbox and the tables applied, parent and child; and drops other objects. */
    void (*make_tables)(struct db *db);
    void (*clean_up)(struct db *db);

    /* The library's functions. `make` prints the reason and returns NULL if it fails. */
    void *(*make)(const struct runner_fixture_options *options);
    inbox_result (*run)(void *runner);
    void (*stop)(void *runner);
    void (*free)(void *runner);
    void (*count)(const void *runner, struct inbox_runner_counters *ret_counters);

    /* Called in `apply`. */
    bool (*insert)(struct db *tx, const struct inbox_delivery *delivery);
    bool (*execute)(struct db *tx, const char *sql);
    /* What `apply` answers after a failed statement: with PostgreSQL the runner notices by itself. */
    inbox_apply after_ignored_failure;
    void (*deadlock)(struct db *tx, struct db *other);
    void (*dawdle)(struct db *tx);

    bool (*create_narrow)(struct db **ret_db, const char **ret_dsn);
    void (*drop_narrow)(struct db *db);
    void (*refuse_writes)(bool refuse);
    bool (*waits)(void);
    void (*end_sessions)(void);
};

extern const struct runner_fixture_kind runner_fixture_postgres;
extern const struct runner_fixture_kind runner_fixture_mysql;

/* The last options of `make`, for the functions that the library calls. */
extern struct runner_fixture_options runner_fixture_made;
inbox_apply runner_fixture_call_apply(void *context, void *conn,
                                      const struct inbox_delivery *delivery);
void *runner_fixture_call_connect(void *context);

#endif
