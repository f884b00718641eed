/* A publication that is dropped and made again: the look at it must never fail, because a failure costs the ownership. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/memory.h"
#include "relay/postgres/sql.h"
#include "tests/integration/pg_fixture.h"

#include "tail_look_sql.h"

enum { LOOKS = 1500 }; /* the view pg_publication_tables failed once in 400 looks, on two cores */

static PGconn *admin;
static atomic_bool over;

static void
create(void)
{
    admin = pg_fixture_create();
    pg_fixture_load_outbox(admin);
    pg_exec(admin, "create publication p for table outbox");
}

static void
drop(void)
{
    pg_fixture_drop(admin);
}

TestSuite(source_postgres_publication, .init = create, .fini = drop, .timeout = 120);

static void *
drop_and_create(void *context)
{
    PGconn *conn = context;
    while (!atomic_load(&over)) {
        pg_exec(conn, "drop publication p");
        pg_exec(conn, "create publication p for table outbox");
    }
    return NULL;
}

static void
look(const char *outbox)
{
    const char *const values[] = {outbox, "slot", "p", "", NULL};
    PGresult *result = PQexecPrepared(admin, "tail_look", 5, values, NULL, NULL, 0);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s", PQerrorMessage(admin));
    PQclear(result);
}

Test(source_postgres_publication, a_look_at_one_that_comes_and_goes_does_not_fail)
{
    char outbox[16];
    char *sql = postgres_sql(sql_tail_look, "public");
    PGconn *other = pg_fixture_connect();
    pthread_t thread;
    (void)snprintf(outbox, sizeof(outbox), "%lld",
                   (long long)pg_query_int(admin, "select 'outbox'::regclass::oid::int8"));
    PQclear(PQprepare(admin, "tail_look", sql, 0, NULL));
    memory_free(sql);
    cr_assert_eq(pthread_create(&thread, NULL, drop_and_create, other), 0);
    for (int i = 0; i < LOOKS; i++) {
        look(outbox);
    }
    atomic_store(&over, true);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    PQfinish(other);
}
