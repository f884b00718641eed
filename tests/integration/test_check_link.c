/* What `check` says about the link to the database, over a real link that is slow or has a long delay. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/slow_link_fixture.h"

static struct db *db;
static struct slow_link *slow;

static void
set_up(void)
{
    cli_enter();
    db = db_create();
    db_load_outbox(db);
    slow = slow_link_open(db_port(), UINT64_MAX);
}

static void
tear_down(void)
{
    slow_link_close(slow);
    db_drop(db);
    cli_leave();
}

TestSuite(check_link, .init = set_up, .fini = tear_down, .timeout = 120);

/* There is no broker, which does not matter for the link. The output is in cli_stdout(). */
static void
check(const char *settings)
{
    cli_write("relay.conf",
              "broker main { uri = \"amqp://127.0.0.1:%d/\" }\n"
              "source orders { kind = %s mode = poll broker = main exchange = x %s\n"
              "  dsn = \"%s host=127.0.0.1 port=%d sslmode=disable\" }\n",
              cli_free_port(), db_kind(), settings, db_dsn(), slow_link_port(slow));
    cr_assert_eq(cli("check -c relay.conf"), 1);
    cr_assert_not_null(strstr(cli_stdout(), "of the tables are all there"), "%s", cli_stdout());
}

static void
expect(const char *words)
{
    const char *const line = strstr(cli_stdout(), "advice   source \"orders\": the link");
    cr_assert_not_null(line, "%s", cli_stdout());
    cr_assert_not_null(strstr(line, words), "expected: %s\ngot:\n%s", words, line);
}

/* At least this many seconds, at most twice as many: a slow machine makes the link slower. */
static void
expect_seconds(const char *words, long least)
{
    expect(words);
    const long seconds = strtol(strstr(cli_stdout(), words) + strlen(words), NULL, 10);
    cr_assert_geq(seconds, least, "%s", cli_stdout());
    cr_assert_leq(seconds, 2 * least, "%s", cli_stdout());
}

static void
expect_nothing(void)
{
    cr_assert_null(strstr(cli_stdout(), "the link"), "%s", cli_stdout());
}

Test(check_link, a_fast_one)
{
    check("");
    expect_nothing();
}

/* 1 Mbit/s: 4 MiB need 33 s. */
Test(check_link, one_that_needs_smaller_batches_or_a_longer_lease)
{
    slow_link_rate(slow, 125000);
    check("");
    expect("KiB a second (measured), which is slow: a full batch (batch_bytes = 4MiB) takes ");
    expect_seconds("takes ", 30);
    expect("a quarter of takeover = 15s");
    expect("set batch_bytes = 256KiB, or takeover = ");
    check("batch_bytes = 256KiB");
    expect_nothing();
    check("takeover = 3m");
    expect_nothing();
}

/* 40 kbit/s: the longest lease that can be configured is too short for 4 MiB, and this one is too short even for the
 * smallest batch. The measurement must not wait for all the rows of a whole batch. */
Test(check_link, one_that_needs_both)
{
    slow_link_rate(slow, 5000);
    const uint64_t start_us = clock_monotonic_us();
    check("");
    cr_assert_lt(clock_monotonic_us() - start_us, 60 * CLOCK_S_US);
    expect_seconds("takes at least ", 550);
    expect("set batch_bytes = 64KiB and takeover = ");
}

/* 200 ms for each round trip, but enough bytes a second. */
Test(check_link, one_that_is_far)
{
    slow_link_rate(slow, 12500000);
    slow_link_delay(slow, 100 * CLOCK_MS_US);
    check("batch_bytes = 1MiB");
    expect_nothing();
}
