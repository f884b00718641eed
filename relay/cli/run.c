#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/cli/cli.h"
#include "relay/daemon/board.h"
#include "relay/daemon/log.h"
#include "relay/daemon/supervisor.h"
#include "relay/http/http.h"
#include "relay/kinds/kinds.h"
#include "relay/rabbit/kind.h"

struct run_options {
    const char *config_path;
    bool check_config;
};

static const struct cli_option option_table[] = {
    CLI_OPTION_CONFIG(struct run_options),
    {"check-config", 0, CLI_FLAG, offsetof(struct run_options, check_config)},
    {0},
};

static void
print_warnings(const struct config_warnings *warnings)
{
    for (size_t i = 0; i < warnings->count; i++) {
        (void)printf("warning: %s\n", warnings->texts[i]); /* only advice */
    }
}

static bool
is_regular(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* From a pipe nothing more comes, and it might block. */
static struct config *
load_again(void *context, void (*report)(void *context, const char *problem), void *report_context)
{
    const char *const *const path = context;
    if (!is_regular(*path)) {
        report(report_context, "the configuration did not come from a regular file, or is gone: "
                               "it cannot be read again");
        return NULL;
    }
    return config_load(*path, database_kinds, &broker_rabbit, report, report_context);
}

/* With HTTP for those who watch, if it is configured. */
static enum cli_exit
supervise(struct config *config, const char *path)
{
    struct board *const board = board_new();
    board_set_config(board, config);
    struct http *const http = http_start(board);
    const enum cli_exit exit =
        supervisor_run(config, board, load_again, &path) ? CLI_DONE : CLI_FAILED;
    if (!http_stop(http)) {
        log_flush();
        _exit(exit); /* a thread still waits for a database, and uses what would be freed */
    }
    board_free(board);
    return exit;
}

static enum cli_exit
work(struct config *config, const char *path)
{
    struct error error;
    log_setup(config->log_format, config->log_level);
    if (!log_start(&error)) {
        log_error("start_failed", LOG_CAUSE(&error));
        return CLI_FAILED;
    }
    const enum cli_exit exit = supervise(config, path);
    log_stop();
    return exit;
}

static enum cli_exit
run(const struct cli_command *command, int argc, char **argv)
{
    struct run_options options = {0};
    enum cli_exit exit;
    if (!cli_parse(command, argc, argv, &options, NULL, &exit)) {
        return exit;
    }
    struct config *const config = cli_config(command, options.config_path, &exit);
    if (config == NULL) {
        return exit;
    }
    if (options.check_config) {
        (void)printf("%s: good\n", options.config_path); /* the exit status says it too */
        print_warnings(&config->warnings);
        print_warnings(&config->advice);
    } else {
        exit = work(config, options.config_path);
    }
    config_free(config);
    return exit;
}

const struct cli_command cli_run = {
    .name = "run",
    .summary = "relay messages until a signal comes",
    .usage = "usage: outbox-relay run -c FILE [--check-config]\n\n"
             "Works every source of the configuration, each in a thread of its own, through every\n"
             "outage, until SIGTERM or SIGINT. The first signal drains: nothing new is read, what "
             "is in\n"
             "flight is confirmed and settled, for at most shutdown_timeout. The second leaves at "
             "once:\n"
             "nothing is lost, duplicates are possible. SIGHUP: reads the configuration again, as\n"
             "`outbox-relay reload` does.\n\n"
             "  -c, --config FILE   the configuration\n"
             "      --check-config  only read and check the configuration\n\n"
             "exit status: 0 drained, 1 failed or not drained in time, 64 wrong usage, 78 wrong\n"
             "configuration\n",
    .options = option_table,
    .run = run,
};
