/* What the relay's report costs its table every second. The rest: test_source_status.c. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/source_fixture.h"

static PGconn *admin;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    admin = pg_fixture_create();
    pg_fixture_load_outbox(admin);
    config = source_fixture_config(pg_fixture_dsn(), 30 * CLOCK_S_US);
    source = source_fixture_own(&config);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    pg_fixture_drop(admin);
}

TestSuite(source_postgres_status, .init = create, .fini = drop, .timeout = 120);

/* It is written every second, so each new version must stay in the row's page, without a new index entry. */
Test(source_postgres_status, an_update_stays_in_its_page)
{
    struct source_status status = {.in_flight = 1, .paused_reason = "broker unreachable"};
    for (int i = 0; i < 200; i++) {
        status.confirmed++;
        source_fixture_status(source, &status);
    }
    source->ops->free(source); /* a session's end publishes its statistics */
    source = source_fixture_own(&config);
    const uint64_t until_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    while (pg_query_int(admin, "select n_tup_upd from pg_stat_user_tables where relname = "
                               "'outbox_relay'") < 199) {
        cr_assert_lt(clock_monotonic_us(), until_us);
    }
    /* None leaves its page, unless transactions in other databases keep old versions for some time. */
    cr_assert_leq(pg_query_int(admin, "select n_tup_upd - n_tup_hot_upd from pg_stat_user_tables "
                                      "where relname = 'outbox_relay'"),
                  10);
    cr_assert_leq(pg_query_int(admin, "select pg_relation_size('outbox_relay')"), 8 * 8192);
    cr_assert_eq(pg_query_int(admin, "select confirmed from outbox_relay"), 200);
}
