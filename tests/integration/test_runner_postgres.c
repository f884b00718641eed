/* The runner with what only PostgreSQL has: statements that are prepared in a session. What is the same in MariaDB and
 * MySQL: test_runner*.c. */
#include <criterion/criterion.h>
#include <libpq-events.h>
#include <libpq-fe.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/integration/db_fixture_pg.h"
#include "tests/integration/runner_fixture.h"

static atomic_int connections;

TestSuite(runner_postgres, .init = runner_fixture_setup, .fini = runner_fixture_teardown,
          .timeout = 120);

/* Forgets what was prepared as soon as the answer to it has been looked at. */
static int
forget(PGEventId event, void *info, void *conn)
{
    if (event == PGEVT_RESULTDESTROY) {
        const PGEventResultDestroy *const destroyed = info;
        if (strcmp(PQcmdStatus(destroyed->result), "PREPARE") == 0) {
            PQclear(PQexec(conn, "deallocate all"));
        }
    }
    return 1;
}

static struct db *
connect_forgetful_later(void *context)
{
    (void)context;
    struct db *const db = db_connect();
    if (atomic_fetch_add(&connections, 1) > 0) {
        cr_assert(PQregisterEventProc(db_pg(db), forget, "forget", db_pg(db)));
    }
    return db;
}

/* Promise: neither costs an outage, although both come at once, as behind a pool that begins to give each transaction
 * another session. */
Test(runner_postgres, a_session_that_is_changed_and_a_new_one_that_forgets)
{
    runner_fixture_publish("changes", "a", "sql: set search_path = pg_catalog, public");
    runner_fixture_publish_many(5);
    struct runner_fixture_options options = runner_fixture_options();
    options.dsn = NULL;
    options.connect = connect_forgetful_later;
    runner_fixture_start(&options);
    runner_fixture_wait(6);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.applied, 6);
    cr_expect_eq(result.database_outages, 0, "%s", runner_fixture_report);
    cr_expect_eq(runner_fixture_reports("session_changed"), 1);
    cr_expect_eq(atomic_load(&connections), 3);
}
