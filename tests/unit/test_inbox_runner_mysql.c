#include <criterion/criterion.h>
#include <inbox/inbox_runner_mysql.h>
#include <stdio.h>
#include <string.h>

static inbox_runner_mysql *runner;
static char events[400];

static inbox_apply
apply(void *context, MYSQL *tx, const struct inbox_delivery *delivery)
{
    (void)context, (void)tx, (void)delivery;
    return INBOX_APPLY_OK;
}

static void
report(void *context, inbox_report_level level, const char *event, const char *text)
{
    (void)context, (void)level, (void)text;
    (void)snprintf(events + strlen(events), sizeof(events) - strlen(events), "%s ", event);
    if (strcmp(event, "database_outage") == 0) {
        inbox_runner_mysql_stop(runner);
    }
}

static struct inbox_runner_mysql_options
valid(void)
{
    struct inbox_runner_mysql_options options = INBOX_RUNNER_MYSQL_OPTIONS_INIT;
    options.broker_uri = "amqp://127.0.0.1:1/"; /* nobody listens there */
    options.queue = "q";
    options.consumer = "c";
    options.dsn = "mysql://u@%2fnonexistent/x";
    options.apply = apply;
    options.report = report;
    return options;
}

static void
expect_invalid(const struct inbox_runner_mysql_options *options, const char *words)
{
    struct inbox_error error;
    cr_expect_eq(inbox_runner_mysql_new(options, &runner, &error), INBOX_INVALID, "%s", words);
    cr_expect_not_null(strstr(error.message, words), "%s: %s", words, error.message);
    cr_expect_null(strstr(error.message, "hunter2"), "%s", error.message);
}

Test(inbox_runner_mysql, what_is_missing_or_wrong_is_named)
{
    struct inbox_runner_mysql_options options = valid();
    options.struct_size = 8;
    expect_invalid(&options, "INBOX_RUNNER_MYSQL_OPTIONS_INIT");
    options = valid();
    options.apply = NULL;
    expect_invalid(&options, "apply is missing");
    options = valid();
    options.dsn = NULL;
    expect_invalid(&options, "one of dsn and connect");
    options = valid();
    options.dsn = "postgresql://u:hunter2@h/d";
    expect_invalid(&options, "dsn: expected a connection string");
    options = valid();
    options.queue = NULL;
    expect_invalid(&options, "queue is missing");
    expect_invalid(NULL, "options is missing");
    struct inbox_error error;
    options = valid();
    cr_expect_eq(inbox_runner_mysql_new(&options, NULL, &error), INBOX_INVALID);
    cr_expect_str_eq(error.message, "ret_runner is missing");
}

/* Every option reaches the runner: a wrong value of each is refused. */
Test(inbox_runner_mysql, numbers_out_of_range_are_named)
{
    struct inbox_runner_mysql_options options = valid();
    uint32_t *const numbers[] = {&options.batch_max,        &options.attempts_max,
                                 &options.retry_max_ms,     &options.heartbeat_s,
                                 &options.retry_initial_ms, &options.stop_timeout_ms};
    static const char *const names[] = {"batch_max",   "attempts_max",     "retry_max_ms",
                                        "heartbeat_s", "retry_initial_ms", "stop_timeout_ms"};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const uint32_t good = *numbers[i];
        *numbers[i] = 0;
        expect_invalid(&options, names[i]);
        *numbers[i] = good;
    }
    options.batch_wait_ms = 10001;
    expect_invalid(&options, "batch_wait_ms");
    options = valid();
    options.prefetch = 1;
    expect_invalid(&options, "prefetch");
    options = valid();
    options.hint.seen =
        (void (*)(void *, const char *const *, size_t, bool *))(void (*)(void))apply;
    expect_invalid(&options, "hint");
}

Test(inbox_runner_mysql, without_a_database_the_broker_is_not_asked_and_the_run_can_be_repeated)
{
    struct inbox_runner_counters counters;
    const struct inbox_runner_mysql_options options = valid();
    cr_assert_eq(inbox_runner_mysql_new(&options, &runner, NULL), INBOX_OK);
    cr_expect_eq(inbox_runner_mysql_run(runner, NULL), INBOX_OK);
    cr_expect_eq(inbox_runner_mysql_run(runner, NULL), INBOX_OK);
    cr_expect_str_eq(events, "database_outage draining database_outage draining ");
    inbox_runner_mysql_count(runner, &counters, sizeof(counters));
    cr_expect_eq(counters.database_outages, 2);
    cr_expect_eq(counters.broker_outages, 0);
    inbox_runner_mysql_free(runner);
    inbox_runner_mysql_free(NULL);
}
