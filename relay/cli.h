/* relay/cli.h - the command line: one binary, one file per command (cli_*.c), found in one sorted
 * table (cli.c). */
#ifndef RELAY_CLI_H
#define RELAY_CLI_H

#include <getopt.h>
#include <stdbool.h>

#include "base/error.h"
#include "relay/config.h"

/* What the process ends with. 64 and 78 are EX_USAGE and EX_CONFIG of sysexits.h. */
enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 64,
    CLI_CONFIG = 78,
};

#define CLI_OPTIONS_MAX 4

struct cli_command {
    const char *name;
    const char *summary;                    /* NULL: not shown by --help */
    const char *usage;                      /* all that `COMMAND --help` prints */
    struct option options[CLI_OPTIONS_MAX]; /* beside --help; ends with {0} */
    enum cli_exit (*run)(const struct cli_command *command, int argc, char **argv);
};

/* What the options said. */
struct cli_options {
    const char *config_path; /* NULL: not given */
    bool flag;               /* the command's own option without a value */
};

/* Stands in a command's `options`. */
#define CLI_OPTION_CONFIG                      \
    {                                          \
        "config", required_argument, NULL, 'c' \
    }
#define CLI_OPTION_FLAG(name)          \
    {                                  \
        (name), no_argument, NULL, 'f' \
    }

int cli_main(int argc, char **argv);

/* Reads argv. False when the command is over, be it because of --help or of a mistake: *ret_exit.
 */
bool cli_parse(const struct cli_command *command, int argc, char **argv,
               struct cli_options *ret_options, enum cli_exit *ret_exit) MUST_CHECK;

/* Says what is wrong with the call, and where help is; returns CLI_USAGE. */
enum cli_exit cli_misused(const struct cli_command *command, const char *format, ...)
    PRINTF_LIKE(2, 3);

/* The configuration, or NULL: then every problem was written to stderr and the exit is CLI_CONFIG,
 * or CLI_USAGE if no file was named. */
struct config *cli_config(const struct cli_command *command, const struct cli_options *options,
                          enum cli_exit *ret_exit);

extern const struct cli_command cli_check;
extern const struct cli_command cli_config_reference;
extern const struct cli_command cli_init;
extern const struct cli_command cli_run;

#endif
