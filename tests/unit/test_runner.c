#include <criterion/criterion.h>
#include <inbox/inbox_runner.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static inbox_apply
apply(void *context, struct pg_conn *tx, const struct inbox_delivery *delivery)
{
    (void)context, (void)tx, (void)delivery;
    return INBOX_APPLY_OK;
}

static char events[400];
static inbox_runner *runner;

static void
report(void *context, inbox_report_level level, const char *event, const char *text)
{
    (void)context, (void)level, (void)text;
    (void)snprintf(events + strlen(events), sizeof(events) - strlen(events), "%s ", event);
    if (strcmp(event, "database_outage") == 0) {
        inbox_runner_stop(runner);
    }
}

static void
make_runner(void)
{
    struct inbox_runner_options options = INBOX_RUNNER_OPTIONS_INIT;
    options.broker_uri = "amqp://127.0.0.1:1/"; /* nobody listens there */
    options.queue = "q";
    options.consumer = "c";
    options.dsn = "host=/nonexistent dbname=x";
    options.apply = apply;
    options.report = report;
    cr_assert_eq(inbox_runner_new(&options, &runner, NULL), INBOX_OK);
}

Test(runner, a_stop_before_the_run_ends_it_at_once)
{
    make_runner();
    inbox_runner_stop(runner);
    inbox_runner_stop(runner);
    cr_expect_eq(inbox_runner_run(runner, NULL), INBOX_OK);
    cr_expect_str_eq(events, "draining ");
    inbox_runner_free(runner);
}

Test(runner, without_a_database_the_broker_is_not_asked_and_the_run_can_be_repeated)
{
    struct inbox_runner_counters counters;
    make_runner();
    cr_expect_eq(inbox_runner_run(runner, NULL), INBOX_OK);
    cr_expect_eq(inbox_runner_run(runner, NULL), INBOX_OK);
    cr_expect_str_eq(events, "database_outage draining database_outage draining ");
    inbox_runner_count(runner, &counters, sizeof(counters));
    cr_expect_eq(counters.database_outages, 2);
    cr_expect_eq(counters.broker_outages, 0);
    inbox_runner_free(runner);
}

Test(runner, counters_of_an_older_and_a_newer_program)
{
    struct {
        struct inbox_runner_counters known;
        uint64_t later;
    } newer = {.later = 7};
    uint64_t older[2] = {7, 7};
    make_runner();
    inbox_runner_count(runner, &newer.known, sizeof(newer));
    inbox_runner_count(runner, (struct inbox_runner_counters *)older, sizeof(older[0]));
    cr_expect_eq(newer.later, 0);
    cr_expect(older[0] == 0 && older[1] == 7);
    inbox_runner_free(runner);
}

Test(runner, missing_arguments_are_refused)
{
    struct inbox_error error;
    const struct inbox_runner_options options = INBOX_RUNNER_OPTIONS_INIT;
    cr_expect_eq(inbox_runner_new(NULL, &runner, &error), INBOX_INVALID);
    cr_expect_str_eq(error.message, "options is missing");
    cr_expect_eq(inbox_runner_new(&options, NULL, &error), INBOX_INVALID);
    cr_expect_str_eq(error.message, "ret_runner is missing");
    cr_expect_eq(inbox_runner_new(NULL, NULL, NULL), INBOX_INVALID);
}

/* The child shares the eventfd, and may share the signal handler. */
Test(runner, a_stop_by_a_forked_child_is_not_the_parents)
{
    make_runner();
    const pid_t child = fork();
    if (child == 0) {
        inbox_runner_stop(runner);
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(inbox_runner_run(runner, NULL), INBOX_OK);
    cr_expect_str_eq(events, "database_outage draining ");
    inbox_runner_free(runner);
}

Test(runner, no_runner_is_freed)
{
    inbox_runner_free(NULL);
}
