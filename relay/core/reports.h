/* relay/core/reports.h - news of the core, each worth a line in the log, kept until the worker asks for the next
 * action. */
#ifndef RELAY_CORE_REPORTS_H
#define RELAY_CORE_REPORTS_H

#include "relay/core/pipeline.h"

/* More reports than this between two turns are dropped, as they repeat the same news; the counters still count
 * everything. */
#define REPORTS_MAX 64

/* All zero: none. */
struct reports {
    struct pipeline_report items[REPORTS_MAX]; /* a ring */
    uint32_t first;
    uint32_t count;
};

void reports_put(struct reports *reports, const struct pipeline_report *report);
/* Puts one report for all failures: their number, and the first one. */
void reports_put_failures(struct reports *reports, enum pipeline_report_type type,
                          const struct source_failures *failures);
/* The oldest; false: there is none. */
bool reports_take(struct reports *reports, struct pipeline_report *ret_report);

#endif
