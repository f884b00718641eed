/* credit.h - a consumer in two parts: credit.c has what it is told and how it says what happens, credit_pg.c or credit_mysql.c the
 * runner of its database, and the effect of a message there. */
#ifndef DEMO_CREDIT_H
#define DEMO_CREDIT_H

#include <inbox/inbox_delivery.h>

struct credit {
    const char *broker_uri;
    const char *queue; /* and the name under which it keeps its inbox */
    const char *dsn;
    inbox_report_fn report;
    uint32_t retry_max_ms;
    struct inbox_runner_hint hint;
};

/* ---- credit_pg.c and credit_mysql.c ---- */

inbox_result credit_new(const struct credit *credit, struct inbox_error *reterr);
inbox_result credit_run(struct inbox_error *reterr); /* until credit_stop */
void credit_stop(void);                              /* in a signal handler */
void credit_free(void);

#endif
