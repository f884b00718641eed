/* relay/cli/held.h - what the commands of `outbox-relay held` share (held*.c). */
#ifndef RELAY_CLI_HELD_H
#define RELAY_CLI_HELD_H

#include <stdio.h>

#include "relay/cli/cli.h"
#include "relay/ports/admin_held.h"

struct cli_held_options {
    const char *config_path;
    const char *source;
    const char *state;
    const char *key;
    const char *type;
    const char *reason;
    uint64_t older_than_us;
    uint64_t limit;
    bool json;
    bool all;
    bool yes;
    bool dry_run;
};

#define CLI_HELD_OPTION(name, kind, member)                          \
    {                                                                \
        (name), 0, (kind), offsetof(struct cli_held_options, member) \
    }
#define CLI_HELD_OPTIONS_WHERE \
    CLI_OPTION_CONFIG(struct cli_held_options), CLI_HELD_OPTION("source", CLI_TEXT, source)
#define CLI_HELD_OPTIONS_FILTER                                                               \
    CLI_HELD_OPTION("state", CLI_TEXT, state), CLI_HELD_OPTION("key", CLI_TEXT, key),         \
        CLI_HELD_OPTION("type", CLI_TEXT, type), CLI_HELD_OPTION("reason", CLI_TEXT, reason), \
        CLI_HELD_OPTION("older-than", CLI_DURATION, older_than_us)

/* Their part of a usage text. */
#define CLI_HELD_USAGE_WHERE                        \
    "  -c, --config FILE       the configuration\n" \
    "      --source NAME       only this source of it\n"
#define CLI_HELD_USAGE_FILTER                                          \
    "      --state STATE       scheduled, retrying, waiting or dead\n" \
    "      --key KEY           of this ordering key\n"                 \
    "      --type TYPE         of this type\n"                         \
    "      --reason TEXT       with this text in the last error\n"     \
    "      --older-than TIME   held for longer than this: 30s, 5m, 2h, 1d\n"

/* False with *ret_exit if the state is unknown, which was reported. */
bool cli_held_filter(const struct cli_command *command, const struct cli_held_options *options,
                     struct admin_filter *ret_filter, enum cli_exit *ret_exit) MUST_CHECK;
bool cli_held_is_filtered(const struct cli_held_options *options);

/* "in 12 s", "now", "never", "-". */
void cli_held_next_attempt(const struct admin_message *message, char *ret_text, size_t size);

void cli_held_print_table(const struct admin_messages *messages);

/* The same in pieces: a table, to which messages are added and printed. For cli_table_free. */
struct cli_table;
struct cli_table *cli_held_table(void);
void cli_held_table_go_on(struct cli_table *table, const struct admin_messages *messages);

/* "2 retrying, 1 dead"; "none" if all are 0. A number above `max` is shown as "more than" max. */
#define CLI_HELD_COUNTS_BYTES 160
void cli_held_counts(const struct admin_counts *counts, uint64_t max,
                     char ret_text[CLI_HELD_COUNTS_BYTES]);

#endif
