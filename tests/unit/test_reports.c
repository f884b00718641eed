#include <criterion/criterion.h>

#include "relay/core/reports.h"

static struct reports reports;

Test(reports, come_in_their_order)
{
    struct pipeline_report report;
    int64_t put = 0;
    int64_t taken = 0;
    while (put < 5 * REPORTS_MAX) { /* several times around the ring */
        for (int i = 0; i < 3; i++) {
            reports_put(&reports, &(struct pipeline_report){.id = put++});
        }
        while (reports_take(&reports, &report)) {
            cr_assert_eq(report.id, taken++);
        }
    }
    cr_assert_eq(taken, put);
}

Test(reports, of_a_flood_the_first_are_kept)
{
    struct pipeline_report report;
    int64_t taken = 0;
    for (int64_t id = 0; id < 2 * REPORTS_MAX; id++) {
        reports_put(&reports, &(struct pipeline_report){.id = id});
    }
    while (reports_take(&reports, &report)) {
        cr_assert_eq(report.id, taken++);
    }
    cr_assert_eq(taken, REPORTS_MAX);
}

Test(reports, of_failures_there_is_one)
{
    struct source_failure items[] = {{.id = 7, .reason = "seven"}, {.id = 8, .reason = "eight"}};
    const struct source_failures failures = {.items = items, .count = 2};
    struct pipeline_report report;
    reports_put_failures(&reports, REPORT_UNMOVED, &failures);
    cr_assert(reports_take(&reports, &report));
    cr_assert(report.type == REPORT_UNMOVED && report.id == 7 && report.count == 2);
    cr_assert_str_eq(report.reason, "seven");
    cr_assert_not(reports_take(&reports, &report));
}
