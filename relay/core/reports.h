/* relay/core/reports.h - what the core has to tell, worth a line in the log each, until it is asked what to do next. */
#ifndef RELAY_CORE_REPORTS_H
#define RELAY_CORE_REPORTS_H

#include "relay/core/pipeline.h"

/* More than these between two turns are a flood of the same news: they are dropped, and the counts have them all. */
#define REPORTS_MAX 64

/* All zero: none. */
struct reports {
    struct pipeline_report items[REPORTS_MAX]; /* a ring */
    uint32_t first;
    uint32_t count;
};

void reports_put(struct reports *reports, const struct pipeline_report *report);
/* One for all of them: how many, and the first. */
void reports_put_failures(struct reports *reports, enum pipeline_report_type type,
                          const struct source_failures *failures);
/* The oldest; false: there is none. */
bool reports_take(struct reports *reports, struct pipeline_report *ret_report);

#endif
