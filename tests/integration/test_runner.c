/* The runner with a real queue and a real database: batches, duplicates, messages that fail. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/queue_fixture.h"
#include "tests/integration/runner_fixture.h"

TestSuite(runner, .init = runner_fixture_setup, .fini = runner_fixture_teardown, .timeout = 120);

Test(runner, a_batch_is_one_transaction_and_is_acknowledged)
{
    struct runner_fixture_options options = runner_fixture_options();
    options.batch_max = 20;
    options.batch_wait_ms = 10000;
    runner_fixture_start(&options);
    runner_fixture_warm_up();
    runner_fixture_publish_many(20);
    runner_fixture_wait(20);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.applied, 20);
    cr_expect_eq(result.transactions, 1);
    cr_expect_eq(db_int(runner_fixture_db, runner_fixture_sql(SQL_TRANSACTIONS)), 1);
    cr_expect_eq(db_int(runner_fixture_db, "select count(*) from inbox"), 20);
    runner_fixture_expect_left(0);
}

static inbox_apply
look(void *context, struct db *tx, const struct inbox_delivery *delivery)
{
    const char *value;
    size_t length;
    cr_expect_str_eq(delivery->message_id, "m1");
    cr_expect_str_eq(delivery->routing_key, queue_fixture_name());
    cr_expect_str_eq(delivery->exchange, "");
    cr_expect_str_eq(delivery->type, "test.type");
    cr_expect_str_eq(delivery->content_type, "text/plain");
    cr_expect_str_eq(delivery->source, "test");
    cr_expect_str_eq(delivery->key, "the key");
    cr_expect_eq(delivery->outbox_id, 42);
    cr_expect_eq(delivery->timestamp_s, 1700000000);
    cr_expect_eq(delivery->body_length, 3);
    cr_expect_str_eq(delivery->body, "a\0b");
    cr_expect_eq(delivery->attempt, 1);
    cr_expect_not(delivery->redelivered);
    cr_assert(inbox_delivery_header(delivery, "x-outbox-key", &value, &length));
    cr_expect(length == 7 && memcmp(value, "the key", 7) == 0);
    cr_expect_not(inbox_delivery_header(delivery, "x-other", &value, &length));
    cr_expect_not(inbox_delivery_header(delivery, "x-outbox-id", &value, &length),
                  "a number is no text");
    return runner_fixture_apply(context, tx, delivery);
}

Test(runner, the_application_sees_the_whole_message)
{
    queue_fixture_publish("m1", "the key", "a\0b", 3);
    struct runner_fixture_options options = runner_fixture_options();
    options.apply = look;
    runner_fixture_start(&options);
    runner_fixture_wait(1);
    (void)runner_fixture_stop();
    cr_expect_eq(atomic_load(&runner_fixture_calls), 1);
}

Test(runner, a_message_that_comes_twice_is_applied_once)
{
    runner_fixture_publish("m1", "a", "x");
    runner_fixture_publish("m1", "a", "x");
    runner_fixture_publish("m2", "a", "x");
    struct runner_fixture_options options = runner_fixture_options();
    runner_fixture_start(&options);
    runner_fixture_wait(3);
    runner_fixture_publish("m1", "a", "x");
    runner_fixture_wait(4);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.duplicates, 2);
    cr_expect_str_eq(runner_fixture_applied(), "m1 m2");
}

Test(runner, a_failing_message_leaves_its_batch_and_the_others_go_on)
{
    runner_fixture_accidents(2); /* once in the batch, once alone */
    struct runner_fixture_options options = runner_fixture_options();
    options.batch_max = 4;
    options.batch_wait_ms = 10000;
    runner_fixture_start(&options);
    runner_fixture_warm_up();
    runner_fixture_publish("m1", "a", "x");
    runner_fixture_publish("m2", "b", "accident: retry");
    runner_fixture_publish("m3", "b", "x");
    runner_fixture_publish("m4", "a", "x");
    runner_fixture_wait(4);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.retried, 1);
    cr_expect_eq(result.rejected, 0);
    cr_expect_str_eq(runner_fixture_applied(), "m1 m4 m2 m3");
    runner_fixture_expect_left(0);
}

Test(runner, what_never_works_is_dead_lettered_and_its_key_goes_on)
{
    runner_fixture_publish("m1", "a", "bad sql");
    runner_fixture_publish("m2", "a", "x");
    runner_fixture_publish("m3", "b", "bad at commit");
    runner_fixture_publish("m4", "b", "x");
    struct runner_fixture_options options = runner_fixture_options();
    runner_fixture_start(&options);
    runner_fixture_wait(4);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.rejected, 2);
    cr_expect_eq(result.retried, 4, "%lu", result.retried);
    cr_expect_eq(
        db_int(runner_fixture_db, "select count(*) from applied where message_id in ('m2', 'm4')"),
        2);
    cr_expect_eq(db_int(runner_fixture_db, "select count(*) from applied"), 2);
    char first[64];
    (void)snprintf(first, sizeof(first), "%s", queue_fixture_take_dead());
    const char *second = queue_fixture_take_dead();
    cr_expect((strcmp(first, "m1") == 0 && strcmp(second, "m3") == 0) ||
                  (strcmp(first, "m3") == 0 && strcmp(second, "m1") == 0),
              "%s %s", first, second);
    cr_expect_eq(
        db_int(runner_fixture_db, "select count(*) from inbox where message_id in ('m1', 'm3')"), 0,
        "a dead message can be sent again");
}

Test(runner, what_the_application_rejects_is_dead_lettered_at_once)
{
    runner_fixture_publish("m1", "a", "x");
    runner_fixture_publish("m2", "a", "reject");
    runner_fixture_publish("m3", "a", "x");
    struct runner_fixture_options options = runner_fixture_options();
    runner_fixture_start(&options);
    runner_fixture_wait(3);
    const struct inbox_runner_counters result = runner_fixture_stop();
    cr_expect_eq(result.retried, 0);
    cr_expect_str_eq(runner_fixture_applied(), "m1 m3");
    cr_expect_str_eq(queue_fixture_take_dead(), "m2");
}

Test(runner, a_message_without_id_is_dead_lettered_and_said)
{
    runner_fixture_publish(NULL, "a", "x");
    struct runner_fixture_options options = runner_fixture_options();
    runner_fixture_start(&options);
    runner_fixture_wait(1);
    cr_expect_str_eq(queue_fixture_take_dead(), "");
    cr_expect_eq(runner_fixture_stop().rejected, 1);
    cr_expect_eq(atomic_load(&runner_fixture_calls), 0);
}
