#include <stdio.h>

#include "relay/cli/cli.h"
#include "relay/http/metrics.h"

static enum cli_exit
run(const struct cli_command *command, int argc, char **argv)
{
    enum cli_exit exit;
    if (!cli_parse(command, argc, argv, NULL, NULL, &exit)) {
        return exit;
    }
    metrics_reference_print(stdout);
    return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

const struct cli_command cli_metrics_reference = {
    .name = "metrics-reference",
    .usage = "usage: outbox-relay metrics-reference\n\n"
             "Prints docs/METRICS.md, made from the table of metrics in this binary.\n",
    .run = run,
};
