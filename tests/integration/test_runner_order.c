/* Two runners of one queue, of which one is active. They are stopped in turn, or lose connections, while there are
 * always more messages: no message is applied after a later one of its key, and none reaches the delivery limit. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/runner_fixture.h"

enum { KEYS = 5, BACKLOG = 600, STEP = 250 };
#define DEADLINE_US (60 * CLOCK_S_US)

TestSuite(runner_order, .fini = runner_fixture_teardown, .timeout = 600);

static int published;

/* The id shows the place of the message in its key: "k3-000017". */
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
    return db_int(runner_fixture_db, "select count(*) from applied");
}

static void
fill(int backlog)
{
    const int missing = backlog - (published - (int)applied());
    if (missing > 0) {
        queue_fixture_publish_many(missing, name_one);
        published += missing;
    }
}

/* With OUTBOX_TEST_LONG about a minute of rounds, instead of seconds. */
static int
rounds(int usual)
{
    return getenv("OUTBOX_TEST_LONG") != NULL ? 10 * usual : usual;
}

static inbox_apply
apply_slowly(void *context, struct db *tx, const struct inbox_delivery *delivery)
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
    const int64_t late =
        db_int(runner_fixture_db, "select count(*) from (select message_id, max(message_id) "
                                  "over (partition by \"key\" order by no)"
                                  " as latest from applied) as seen where message_id < latest");
    cr_expect_eq(late, 0, "%ld messages were applied after a later one of their key", late);
    cr_expect_eq(db_int(runner_fixture_db, "select count(distinct message_id) from applied"),
                 applied());
}

static struct runner_fixture_options
slow_options(void)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.apply = apply_slowly;
    options.batch_max = 20;
    options.prefetch = 200;
    return options;
}

static void
stop_both(const pid_t runners[2])
{
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(kill(runners[i], SIGTERM), 0);
        (void)runner_fixture_reap(runners[i]);
    }
}

/* All messages are published before the first runner starts. A classic queue before RabbitMQ 4 may crash, or break the
 * order, if a message arrives just after a consumer was cancelled (docs/OPERATIONS.md; seen with 3.10.8), and a runner
 * also cancels one soon after its start (runner_broker.c, widen). A round applies STEP messages, and a stop at most a
 * prefetch. */
static void
take_turns(int rounds)
{
    const struct runner_fixture_options options = slow_options();
    pid_t runners[2];
    fill(rounds * (STEP + (int)options.prefetch) + BACKLOG);
    runners[0] = runner_fixture_spawn(&options);
    wait_for(1);
    runners[1] = runner_fixture_spawn(&options);
    for (int round = 0; round < rounds; round++) {
        pid_t *turn = &runners[round % 2];
        wait_for(applied() + STEP);
        cr_assert_eq(kill(*turn, SIGTERM), 0);
        const int status = runner_fixture_reap(*turn);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
        cr_assert_lt(applied(), published, "there is always more to do");
        *turn = runner_fixture_spawn(&options);
    }
    wait_for(published);
    stop_both(runners);
    expect_order();
    cr_expect_eq(queue_fixture_count_dead(), 0, "a stop costs no message its delivery limit");
}

Test(runner_order, stopped_in_turn_at_a_quorum_queue)
{
    runner_fixture_setup_kind(
        &(struct queue_fixture_kind){.type = "quorum", .delivery_limit = 2, .single_active = true});
    take_turns(rounds(4));
}

Test(runner_order, stopped_in_turn_at_a_classic_queue)
{
    runner_fixture_setup_kind(
        &(struct queue_fixture_kind){.type = "classic", .single_active = true});
    take_turns(rounds(4));
}

/* First the connection of the waiting runner, then that of the active one, which loses its unacknowledged messages and
 * its turn. In the other order, the next active runner could lose a redelivered message again, and RabbitMQ would put
 * that one behind the other redelivered ones. */
static void
close_connections(void)
{
    char command[700];
    (void)snprintf(command, sizeof(command),
                   "mine=$(\"$OUTBOX_TEST_RABBITMQCTL\" -q list_connections pid client_properties |"
                   " grep -F '\"%s\"' | cut -f1); "
                   "\"$OUTBOX_TEST_RABBITMQCTL\" -q list_channels connection "
                   "messages_unacknowledged | grep -F \"$mine\" | sort -k 2 -n | cut -f1 |"
                   " while read -r pid; do \"$OUTBOX_TEST_RABBITMQCTL\" -q close_connection "
                   "\"$pid\" 'by the test'; done",
                   runner_fixture_options().consumer);
    cr_assert_eq(system(command), 0);
}

/* Redelivered messages come one by one; the next accident comes when they are done. */
static void
meet_accidents(void (*accident)(void))
{
    const struct runner_fixture_options options = slow_options();
    pid_t runners[2];
    for (int i = 0; i < 2; i++) {
        runners[i] = runner_fixture_spawn(&options);
    }
    for (int round = 0; round < rounds(1); round++) {
        fill(BACKLOG);
        wait_for(applied() + STEP);
        fill(3 * BACKLOG); /* enough for the time that rabbitmqctl takes */
        accident();
        fill(BACKLOG);
        wait_for(applied() + STEP);
    }
    wait_for(published);
    stop_both(runners);
    expect_order();
    cr_expect_eq(queue_fixture_count_dead(), 0);
}

Test(runner_order, connections_to_the_broker_are_closed)
{
    runner_fixture_setup_kind(
        &(struct queue_fixture_kind){.type = "quorum", .delivery_limit = 4, .single_active = true});
    meet_accidents(close_connections);
}

Test(runner_order, sessions_of_the_database_end)
{
    runner_fixture_setup_kind(
        &(struct queue_fixture_kind){.type = "quorum", .delivery_limit = 1, .single_active = true});
    meet_accidents(runner_fixture_end_sessions);
}
