/* runner_options.h - the options of a runner for any kind of database: those of inbox_runner.h and
 * inbox_runner_mysql.h, without `connect` and `apply`, whose types contain the kind's connection. */
#ifndef CONSUMERS_RUNNER_OPTIONS_H
#define CONSUMERS_RUNNER_OPTIONS_H

#include <inbox/inbox_delivery.h>

#include "amqp/uri.h"
#include "base/error.h"

struct runner_options {
    const char *broker_uri;
    const char *broker_password;
    const char *queue;
    const char *consumer;
    const char *dsn;
    inbox_report_fn report;
    void *context;
    struct inbox_runner_hint hint;
    uint32_t batch_max;
    uint32_t batch_wait_ms;
    uint32_t prefetch;
    uint32_t attempts_max;
    uint32_t retry_initial_ms;
    uint32_t retry_max_ms;
    uint32_t heartbeat_s;
    uint32_t stop_timeout_ms;
};

/* `from` points to the struct of either header: their members have the same names. */
#define RUNNER_OPTIONS_OF(from)                                            \
    ((struct runner_options){.broker_uri = (from)->broker_uri,             \
                             .broker_password = (from)->broker_password,   \
                             .queue = (from)->queue,                       \
                             .consumer = (from)->consumer,                 \
                             .dsn = (from)->dsn,                           \
                             .report = (from)->report,                     \
                             .context = (from)->context,                   \
                             .hint = (from)->hint,                         \
                             .batch_max = (from)->batch_max,               \
                             .batch_wait_ms = (from)->batch_wait_ms,       \
                             .prefetch = (from)->prefetch,                 \
                             .attempts_max = (from)->attempts_max,         \
                             .retry_initial_ms = (from)->retry_initial_ms, \
                             .retry_max_ms = (from)->retry_max_ms,         \
                             .heartbeat_s = (from)->heartbeat_s,           \
                             .stop_timeout_ms = (from)->stop_timeout_ms})

/* What else the application gave. */
struct runner_application {
    bool connects; /* there is a `connect` */
    bool applies;  /* there is an `apply` */
    bool (*check_dsn)(const char *dsn,
                      /* False with *reterr if the kind of database does not accept the dsn. */
                      struct error *reterr);
};

/* Makes a checked copy with defaults filled in. The copy owns its texts, and is for runner_options_done; the endpoint
 * is for amqp_endpoint_done. */
inbox_result runner_options_copy(const struct runner_options *options,
                                 const struct runner_application *application,
                                 struct runner_options *ret_copy,
                                 struct amqp_endpoint *ret_endpoint, struct inbox_error *reterr);
void runner_options_done(struct runner_options *options);

#endif
