#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Only confirmed messages are deleted. */

TestSuite(pipeline_settle, .init = driver_init, .fini = driver_done);

Test(pipeline_settle, settles_what_is_confirmed_and_only_that)
{
    start_with(4);
    cr_assert_eq(noted(PIPELINE_PUBLISH), 4);
    later(CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_SETTLE), 0, "nothing is confirmed");
    cr_assert(pipeline_confirmed(driver.pipeline, 0, 2, true, driver.now_us));
    message_of(1)->taken = message_of(2)->taken = 1;
    later(driver.options.settle_delay_us - 1);
    cr_assert_eq(noted(PIPELINE_SETTLE), 0, "more may come");
    later(1);
    cr_assert_eq(only(PIPELINE_SETTLE)->action.count, 2);
    cr_assert_eq(only(PIPELINE_SETTLE)->action.ids[0], 1);
    cr_assert_eq(only(PIPELINE_SETTLE)->action.ids[1], 2);
}

Test(pipeline_settle, settles_nothing_of_an_earlier_ownership)
{
    start_with(4);
    take(1);
    take(2);
    lose_source();
    later(CLOCK_S_US);
    take(3);
    nack(4);
    message_of(4)->refused = false; /* the refusal was for another message */
    own_source();
    later(driver.options.settle_delay_us);
    cr_assert_eq(noted(PIPELINE_SETTLE), 0, "after a failover these ids may be other messages");
    cr_assert_eq(noted(PIPELINE_REPORT), 0, "nor is one refused for what another was");
    answer_heads();
    cr_assert_eq(only(PIPELINE_FETCH)->action.fetch.after_id, INT64_MIN);
    cr_assert_eq(only(PIPELINE_FETCH)->action.fetch.id_count, 0);
    later(CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_HOLD), 0);
}

/* It was published: it is not sent again when the table is read from an earlier id, and delays no other message. */
Test(pipeline_settle, one_that_cannot_be_deleted_is_tried_again_and_not_sent_again)
{
    start_with(3);
    driver.undeletable_id = 2;
    take(2);
    take(3);
    run(CLOCK_S_US);
    cr_assert_str_eq(report_of(REPORT_UNDELETED)->reason, "forbidden");
    cr_assert_eq(counts().settled, 2, "it counts as deleted");
    cr_assert_eq(count_in(IN_OUTBOX), 2);
    lose_lane(0);
    run(CLOCK_S_US);
    cr_assert(was_published(1));
    cr_assert_not(was_published(2));
    take_all();
    driver.undeletable_id = 0;
    run(60 * CLOCK_S_US);
    cr_assert_eq(count_in(IN_OUTBOX), 0);
    cr_assert_eq(counts().settled, 3, "it is counted once");
}
