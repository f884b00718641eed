/* Two runners of one queue of which one is active, stopped in turn while there is always more to do: no message is applied
 * after a later one of its key, and none is returned by a stop, so that a delivery limit of 1 hits nobody. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/runner_fixture.h"

enum { KEYS = 5, BACKLOG = 600, STEP = 250 };
#define DEADLINE_US (60 * CLOCK_S_US)

TestSuite(runner_order, .fini = runner_fixture_teardown, .timeout = 600);

static int published;

/* The id tells the place of the message in its key: "k3-000017". */
static void
name_one(int index, char ret_id[32], char ret_key[32])
{
    const int number = published + index;
    (void)snprintf(ret_key, 32, "k%d", number % KEYS);
    (void)snprintf(ret_id, 32, "k%d-%06d", number % KEYS, number / KEYS);
}

static int64_t
applied(void)
{
    return pg_query_int(runner_fixture_conn, "select count(*) from applied");
}

static void
fill(void)
{
    const int missing = BACKLOG - (published - (int)applied());
    if (missing > 0) {
        queue_fixture_publish_many(missing, name_one);
        published += missing;
    }
}

static inbox_apply
apply_slowly(void *context, PGconn *tx, const struct inbox_delivery *delivery)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL); /* the work */
    return runner_fixture_apply(context, tx, delivery);
}

static void
wait_for(int64_t count)
{
    const uint64_t deadline_us = clock_monotonic_us() + DEADLINE_US;
    while (applied() < count) {
        cr_assert_lt(clock_monotonic_us(), deadline_us, "%ld of %ld applied", applied(), count);
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}

static void
expect_order(void)
{
    const int64_t late = pg_query_int(runner_fixture_conn,
                                      "select count(*) from (select message_id, max(message_id) "
                                      "over (partition by key order by no)"
                                      " as latest from applied) as seen where message_id < latest");
    cr_expect_eq(late, 0, "%ld messages were applied after a later one of their key", late);
    cr_expect_eq(
        pg_query_int(runner_fixture_conn, "select count(distinct message_id) from applied"),
        applied());
}

static struct inbox_runner_options
slow_options(void)
{
    struct inbox_runner_options options = runner_fixture_options();
    options.apply = apply_slowly;
    options.batch_max = 20;
    options.prefetch = 200;
    return options;
}

static void
take_turns(int rounds)
{
    const struct inbox_runner_options options = slow_options();
    pid_t runners[2];
    fill();
    runners[0] = runner_fixture_spawn(&options);
    wait_for(1);
    runners[1] = runner_fixture_spawn(&options);
    for (int round = 0; round < rounds; round++) {
        pid_t *turn = &runners[round % 2];
        fill();
        wait_for(applied() + STEP);
        fill();
        cr_assert_eq(kill(*turn, SIGTERM), 0);
        const int status = runner_fixture_reap(*turn);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
        *turn = runner_fixture_spawn(&options);
    }
    wait_for(published);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(kill(runners[i], SIGTERM), 0);
        (void)runner_fixture_reap(runners[i]);
    }
    expect_order();
    cr_expect_eq(queue_fixture_count_dead(), 0, "a stop costs no message its delivery limit");
}

static int
rounds(void)
{
    return getenv("OUTBOX_TEST_LONG") != NULL ? 40 : 6;
}

Test(runner_order, stopped_in_turn_at_a_quorum_queue)
{
    runner_fixture_setup_kind(
        &(struct queue_fixture_kind){.type = "quorum", .delivery_limit = 2, .single_active = true});
    take_turns(rounds());
}

Test(runner_order, stopped_in_turn_at_a_classic_queue)
{
    runner_fixture_setup_kind(
        &(struct queue_fixture_kind){.type = "classic", .single_active = true});
    take_turns(rounds());
}
