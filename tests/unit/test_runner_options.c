#include <criterion/criterion.h>
#include <inbox/inbox_runner.h>
#include <string.h>

#include "base/dsn.h"
#include "consumers/runner_options.h"

static inbox_apply
apply(void *context, struct pg_conn *tx, const struct inbox_delivery *delivery)
{
    (void)context, (void)tx, (void)delivery;
    return INBOX_APPLY_OK;
}

static struct inbox_runner_options
valid(void)
{
    struct inbox_runner_options options = INBOX_RUNNER_OPTIONS_INIT;
    options.broker_uri = "amqp://localhost/";
    options.queue = "q";
    options.consumer = "c";
    options.dsn = "dbname=x";
    options.apply = apply;
    return options;
}

/* The message must name the option. */
static void
expect_invalid(const struct inbox_runner_options *options, const char *name)
{
    inbox_runner *runner = NULL;
    struct inbox_error error;
    cr_expect_eq(inbox_runner_new(options, &runner, &error), INBOX_INVALID, "%s", name);
    cr_expect_null(runner);
    cr_expect_not_null(strstr(error.message, name), "%s: %s", name, error.message);
    cr_expect_eq(error.code, INBOX_INVALID);
}

Test(runner_options, a_copy_is_independent_and_has_the_default_prefetch)
{
    char queue[] = "queue";
    struct inbox_runner_options options = valid();
    const struct runner_application application = {.applies = true, .check_dsn = dsn_check};
    struct runner_options copy;
    struct amqp_endpoint endpoint;
    options.queue = queue;
    options.batch_max = 50;
    const struct runner_options common = RUNNER_OPTIONS_OF(&options);
    cr_assert_eq(runner_options_copy(&common, &application, &copy, &endpoint, NULL), INBOX_OK);
    queue[0] = 'X';
    cr_expect_str_eq(copy.queue, "queue");
    cr_expect_eq(copy.prefetch, 100);
    cr_expect_null(copy.broker_password);
    runner_options_done(&copy);
    amqp_endpoint_done(&endpoint);
}

Test(runner_options, what_is_missing_is_named)
{
    struct inbox_runner_options options = valid();
    options.broker_uri = NULL;
    expect_invalid(&options, "broker_uri");
    options = valid();
    options.queue = "";
    expect_invalid(&options, "queue");
    options = valid();
    options.consumer = NULL;
    expect_invalid(&options, "consumer");
    options = valid();
    options.dsn = NULL;
    expect_invalid(&options, "dsn");
    options = valid();
    options.apply = NULL;
    expect_invalid(&options, "apply");
    options = valid();
    options.struct_size = 8;
    expect_invalid(&options, "struct_size");
}

Test(runner_options, a_consumer_that_the_inbox_would_refuse_is_refused_at_once)
{
    char name[INBOX_NAME_MAX_BYTES + 2];
    struct inbox_runner_options options = valid();
    memset(name, 'c', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    options.consumer = name;
    expect_invalid(&options, "consumer");
    options.consumer = "\xff";
    expect_invalid(&options, "consumer");
}

Test(runner_options, numbers_out_of_range_are_named)
{
    struct inbox_runner_options options = valid();
    options.batch_max = 0;
    expect_invalid(&options, "batch_max");
    options = valid();
    options.prefetch = options.batch_max - 1;
    expect_invalid(&options, "prefetch");
    options = valid();
    options.attempts_max = 0;
    expect_invalid(&options, "attempts_max");
    options = valid();
    options.retry_initial_ms = options.retry_max_ms + 1;
    expect_invalid(&options, "retry_initial_ms");
    options = valid();
    options.heartbeat_s = 0;
    expect_invalid(&options, "heartbeat_s");
}

Test(runner_options, a_bad_uri_shows_no_password)
{
    struct inbox_runner_options options = valid();
    struct inbox_error error;
    inbox_runner *runner;
    options.broker_uri = "amqp://user:secret@host:99999/";
    cr_expect_eq(inbox_runner_new(&options, &runner, &error), INBOX_INVALID);
    cr_expect_not_null(strstr(error.message, "broker_uri"));
    cr_expect_null(strstr(error.message, "secret"));
}

Test(runner_options, half_a_hint_is_none)
{
    struct inbox_runner_options options = valid();
    options.hint.remember = (void (*)(void *, const char *const *, size_t))(void (*)(void))apply;
    expect_invalid(&options, "hint");
}

/* libpq would quote the rest of such a password as the name of a host. */
Test(runner_options, a_dsn_is_refused_without_showing_its_password)
{
    static const char *const strings[] = {"postgresql://u:a@hunter2@h/d", "password=a hunter2",
                                          "postgresql://u:a/hunter2@h/d", "hunter2"};
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        inbox_runner *runner = NULL;
        struct inbox_error error;
        struct inbox_runner_options options = valid();
        options.dsn = strings[i];
        expect_invalid(&options, "dsn");
        cr_assert_eq(inbox_runner_new(&options, &runner, &error), INBOX_INVALID);
        cr_expect_null(strstr(error.message, "hunter2"), "%s", error.message);
    }
}
