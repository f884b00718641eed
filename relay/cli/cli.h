/* relay/cli/cli.h - the command line: one binary, one file per command, found in one sorted
 * table (cli.c). */
#ifndef RELAY_CLI_CLI_H
#define RELAY_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "relay/config/config.h"

/* Exit statuses. */
enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 64,
    CLI_CONFIG = 78,
};

enum cli_kind {
    CLI_FLAG,     /* bool */
    CLI_TEXT,     /* const char * */
    CLI_NUMBER,   /* uint64_t */
    CLI_DURATION, /* uint64_t, microseconds */
};

/* One option, and the member of the command's own struct for its value. Without the option the member keeps its
 * default. */
struct cli_option {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    enum cli_kind kind;
    size_t member; /* offsetof */
};

#define CLI_OPTIONS_MAX 12

struct cli_command {
    const char *name;    /* as it is typed; "held list" belongs to the command `held` */
    const char *summary; /* NULL: not shown by --help */
    const char *usage;   /* all that `COMMAND --help` prints */
    const struct cli_option *options; /* beside --help; ends with {0}; NULL: none */
    enum cli_exit (*run)(const struct cli_command *command, int argc, char **argv);
    const struct cli_command *const *commands; /* subcommands, instead of run; ends with NULL */
};

/* For a command's options */
#define CLI_OPTION_CONFIG(type)                              \
    {                                                        \
        "config", 'c', CLI_TEXT, offsetof(type, config_path) \
    }

/* The arguments that are no options. */
struct cli_words {
    char **words;
    size_t count;
};

int cli_main(int argc, char **argv);

/* Reads argv into `options`, the command's own struct, which already has the defaults. False with *ret_exit if the
 * command is over, because of --help or a mistake. ret_words NULL: the command takes no words. */
bool cli_parse(const struct cli_command *command, int argc, char **argv, void *options,
               struct cli_words *ret_words, enum cli_exit *ret_exit) MUST_CHECK;

/* Says what is wrong with the call and how to get help; returns CLI_USAGE. */
enum cli_exit cli_misused(const struct cli_command *command, const char *format, ...)
    PRINTF_LIKE(2, 3);

/* The configuration. NULL: every problem was written to stderr, and the exit is CLI_CONFIG, or CLI_USAGE if no file was
 * named (path NULL). */
struct config *cli_config(const struct cli_command *command, const char *path,
                          enum cli_exit *ret_exit);

/* Some of the sources of a configuration. */
struct cli_sources {
    const struct source_config *sources;
    size_t count;
};

/* The one with this name, or all if it is NULL. False with CLI_USAGE if there is none. */
bool cli_sources(const struct cli_command *command, const struct config *config, const char *name,
                 struct cli_sources *ret_sources, enum cli_exit *ret_exit) MUST_CHECK;

/* Says to stderr which source has a problem; returns CLI_FAILED. */
enum cli_exit cli_source_failed(const struct source_config *source, const struct error *error);

/* All commands, sorted by name; ends with NULL. */
extern const struct cli_command *const cli_commands[];

/* The last word of its name: what is typed after the parent's name. */
const char *cli_own_name(const struct cli_command *command);

extern const struct cli_command cli_check;
extern const struct cli_command cli_complete;
extern const struct cli_command cli_config_reference;
extern const struct cli_command cli_explain;
extern const struct cli_command cli_held;
extern const struct cli_command cli_held_discard;
extern const struct cli_command cli_held_list;
extern const struct cli_command cli_held_retry;
extern const struct cli_command cli_held_show;
extern const struct cli_command cli_init;
extern const struct cli_command cli_metrics_reference;
extern const struct cli_command cli_reload;
extern const struct cli_command cli_run;
extern const struct cli_command cli_status;

#endif
