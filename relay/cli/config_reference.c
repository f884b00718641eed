#include <stdio.h>

#include "relay/cli/cli.h"
#include "relay/config/reference.h"
#include "relay/kinds/kinds.h"

static enum cli_exit
run(const struct cli_command *command, int argc, char **argv)
{
    enum cli_exit exit;
    if (!cli_parse(command, argc, argv, NULL, NULL, &exit)) {
        return exit;
    }
    config_reference_print(stdout, database_kinds);
    return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

const struct cli_command cli_config_reference = {
    .name = "config-reference",
    .usage = "usage: outbox-relay config-reference\n\n"
             "Prints docs/CONFIGURATION.md, made from the table of keys in this binary.\n",
    .run = run,
};
