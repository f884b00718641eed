#include <inbox/inbox_runner_mysql.h>
#include <stdlib.h>

#include "base/dsn.h"
#include "consumers/runner_mysql.h"
#include "consumers/runner_private.h"

struct inbox_runner_mysql {
    struct runner core;
};

static inbox_result
make(inbox_runner_mysql *runner, const struct inbox_runner_mysql_options *options,
     struct inbox_error *reterr)
{
    const struct runner_options common = RUNNER_OPTIONS_OF(options);
    const struct runner_application application = {.connects = options->connect != NULL,
                                                   .applies = options->apply != NULL,
                                                   .check_dsn = dsn_mysql_check};
    const inbox_result result = runner_init(&runner->core, &common, &application, reterr);
    if (result != INBOX_OK) {
        return result;
    }
    return runner_set_session(
        &runner->core, runner_mysql_new(&runner->core.options, options->connect, options->apply),
        reterr);
}

inbox_result
inbox_runner_mysql_new(const struct inbox_runner_mysql_options *options,
                       inbox_runner_mysql **ret_runner, struct inbox_error *reterr)
{
    if (options == NULL || ret_runner == NULL) {
        return runner_fail(reterr, INBOX_INVALID, "%s is missing",
                           options == NULL ? "options" : "ret_runner");
    }
    if (options->struct_size != sizeof(*options)) {
        return runner_fail(reterr, INBOX_INVALID,
                           "struct_size: begin with INBOX_RUNNER_MYSQL_OPTIONS_INIT");
    }
    inbox_runner_mysql *runner = calloc(1, sizeof(*runner));
    if (runner == NULL) {
        return runner_fail(reterr, INBOX_NO_MEMORY, "out of memory");
    }
    const inbox_result result = make(runner, options, reterr);
    if (result != INBOX_OK) {
        inbox_runner_mysql_free(runner);
        return result;
    }
    *ret_runner = runner;
    return INBOX_OK;
}

inbox_result
inbox_runner_mysql_run(inbox_runner_mysql *runner, struct inbox_error *reterr)
{
    return runner_run(&runner->core, reterr);
}

void
inbox_runner_mysql_stop(inbox_runner_mysql *runner)
{
    runner_stop(&runner->core);
}

void
inbox_runner_mysql_free(inbox_runner_mysql *runner)
{
    if (runner != NULL) {
        runner_done(&runner->core);
        free(runner);
    }
}

void
inbox_runner_mysql_count(const inbox_runner_mysql *runner,
                         struct inbox_runner_counters *ret_counters, size_t counters_size)
{
    runner_counters(&runner->core, ret_counters, counters_size);
}
