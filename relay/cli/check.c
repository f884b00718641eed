#include <stdio.h>

#include "relay/cli/check_run.h"
#include "relay/cli/cli.h"

struct check_options {
    const char *config_path;
};

static const struct cli_option option_table[] = {
    CLI_OPTION_CONFIG(struct check_options),
    {0},
};

static enum cli_exit
run(const struct cli_command *command, int argc, char **argv)
{
    struct check_options options = {0};
    enum cli_exit exit;
    if (!cli_parse(command, argc, argv, &options, NULL, &exit)) {
        return exit;
    }
    struct config *const config = cli_config(command, options.config_path, &exit);
    if (config != NULL) {
        exit = check_run(config, stdout) ? CLI_DONE : CLI_FAILED;
    }
    config_free(config);
    return exit;
}

const struct cli_command cli_check = {
    .name = "check",
    .summary = "try the configuration, the databases and the brokers",
    .usage =
        "usage: outbox-relay check -c FILE\n\n"
        "Connects to every database and broker of the configuration as the relay would, changes\n"
        "nothing, and says of every problem what to do about it.\n\n"
        "  -c, --config FILE   the configuration\n\n"
        "exit status: 0 no problem, 1 problems, 64 wrong usage, 78 wrong configuration\n",
    .options = option_table,
    .run = run,
};
