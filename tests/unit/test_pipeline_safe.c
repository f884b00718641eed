#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

/* Single scenes, as in test_pipeline.c: up to which position of the log all is safe. The driver watches that what is told
 * is so; here it is told as soon as it is, and not before. */

TestSuite(pipeline_safe, .init = driver_init, .fini = driver_done);

Test(pipeline_safe, what_is_deleted_is_safe)
{
    start_live();
    driver.broker = takes_all;
    put_range(1, 3, 1);
    run(CLOCK_S_US);
    cr_assert_eq(safe_position(), driver.log_end);
}
