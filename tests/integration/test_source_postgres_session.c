/* How sessions of PostgreSQL end, and settings that they inherit: requests depend on the protocol, settings on the
 * server. */
#include <criterion/criterion.h>
#include <libpq-fe.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/source_fixture.h"

static PGconn *admin;

static void
create(void)
{
    admin = pg_fixture_create();
    pg_fixture_load_outbox(admin);
}

static void
drop(void)
{
    pg_fixture_drop(admin);
}

TestSuite(source_postgres_session, .init = create, .fini = drop, .timeout = 120);

/* An owner that was stopped while it wrote a request: the server waits for the rest of it, and none of its timeouts
 * runs. */
Test(source_postgres_session, an_owner_that_stopped_in_the_middle_of_a_request_is_ended)
{
    struct source_config config = source_fixture_config(pg_fixture_dsn(), 3 * CLOCK_S_US);
    PGconn *owner = pg_fixture_connect();
    PGresult *locked =
        PQexec(owner, "select pg_try_advisory_lock(1869968482, 'outbox'::regclass::oid::int4)");
    cr_assert_eq(PQgetvalue(locked, 0, 0)[0], 't');
    PQclear(locked);
    cr_assert_eq(PQenterPipelineMode(owner), 1);
    cr_assert_eq(PQsendQueryParams(owner, "select 1", 0, NULL, NULL, NULL, NULL, 0), 1);
    cr_assert_eq(PQsendFlushRequest(owner), 1); /* without a sync */
    cr_assert_eq(PQflush(owner), 0);
    struct source *source = source_fixture_open(&config);
    (void)source_fixture_expect(source, SOURCE_STANDBY);
    (void)source_fixture_expect(source, SOURCE_OWNED);
    source_fixture_close(source, &config);
    PQfinish(owner);
}
