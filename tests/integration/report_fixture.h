/* tests/integration/report_fixture.h - keeps the lines that `check` and `init` report, as the command line prints
 * them. */
#ifndef TESTS_INTEGRATION_REPORT_FIXTURE_H
#define TESTS_INTEGRATION_REPORT_FIXTURE_H

#include "relay/ports/report.h"

/* A report without lines. One at a time. */
struct report report_fixture_begin(void);

/* Its lines so far: "ok       source "orders": …\n". */
const char *report_fixture_lines(void);

/* Requires a line of this kind with these words; or that no line has them. */
void report_fixture_expect(const char *word, const char *words);
void report_fixture_expect_none(const char *words);

#endif
