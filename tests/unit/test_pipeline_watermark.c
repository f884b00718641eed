#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* When the source is asked for its watermark. */

TestSuite(pipeline_watermark, .init = driver_init, .fini = driver_done);

static void
start_with_late_rows(void)
{
    put_each(1, 3);
    driver.final_id = 1; /* rows with higher ids may still come late */
    start();
    answer_watermark();
    answer_fetch();
}

Test(pipeline_watermark, is_asked_for_again_as_long_as_rows_may_come_late)
{
    start_with_late_rows();
    for (int i = 0; i < 3; i++) {
        later(driver.options.watermark_interval_us - 1);
        cr_assert_eq(noted(PIPELINE_WATERMARK), 0);
        later(1);
        cr_assert_eq(noted(PIPELINE_WATERMARK), 1);
        answer_watermark();
    }
    driver.final_id = 3;
    run(CLOCK_S_US);
    run(10 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_WATERMARK), 0, "an idle table is left alone");
}

Test(pipeline_watermark, is_asked_for_once_at_a_time)
{
    start_with_late_rows();
    later(driver.options.watermark_interval_us);
    cr_assert_eq(noted(PIPELINE_WATERMARK), 1);
    later(10 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_WATERMARK), 0, "the answer is out");
}

Test(pipeline_watermark, is_asked_for_anew_in_each_ownership)
{
    start_with_late_rows();
    later(driver.options.watermark_interval_us);
    lose_source();
    later(10 * CLOCK_S_US);
    cr_assert_eq(noted(PIPELINE_WATERMARK), 0);
    own_source();
    turn();
    cr_assert_eq(noted(PIPELINE_WATERMARK), 1);
}
