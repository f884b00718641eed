#include "relay/core/reports.h"

#include <stdio.h>

void
reports_put(struct reports *reports, const struct pipeline_report *report)
{
    if (reports->count < REPORTS_MAX) {
        reports->items[(reports->first + reports->count++) % REPORTS_MAX] = *report;
    }
}

void
reports_put_failures(struct reports *reports, enum pipeline_report_type type,
                     const struct source_failures *failures)
{
    const struct source_failure *first = &failures->items[0];
    struct pipeline_report report = {.type = type, .id = first->id, .count = failures->count};
    (void)snprintf(report.reason, sizeof(report.reason), "%s", first->reason); /* cut is fine */
    reports_put(reports, &report);
}

bool
reports_take(struct reports *reports, struct pipeline_report *ret_report)
{
    if (reports->count == 0) {
        return false;
    }
    *ret_report = reports->items[reports->first];
    reports->first = (reports->first + 1) % REPORTS_MAX;
    reports->count--;
    return true;
}
