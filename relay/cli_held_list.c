#include <inttypes.h>

#include "relay/cli_databases.h"
#include "relay/cli_held.h"
#include "relay/cli_json.h"
#include "relay/cli_text.h"
#include "relay/memory.h"

#define LIMIT_USUAL 50
#define LIMIT_NOT_GIVEN UINT64_MAX

static const struct cli_option option_table[] = {
    CLI_HELD_OPTIONS_WHERE,
    CLI_HELD_OPTIONS_FILTER,
    CLI_HELD_OPTION("limit", CLI_NUMBER, limit),
    CLI_HELD_OPTION("json", CLI_FLAG, json),
    {0},
};

static void
print_totals(const struct admin_counts *counts, size_t listed, bool filtered)
{
    char text[CLI_HELD_COUNTS_BYTES];
    const uint64_t sum = admin_counts_sum(counts);
    if (sum == 0) {
        (void)puts(filtered ? "no held message matches"
                            : "nothing is held"); /* a reader who went away needs no answer */
        return;
    }
    cli_held_counts(counts, UINT64_MAX, text);
    (void)printf("%" PRIu64 " message%s: %s\n", sum, cli_text_plural(sum), text); /* as above */
    if (sum > listed) {
        (void)printf("%" PRIu64 " more; use --limit\n", sum - listed); /* as above */
    }
}

static bool
list_one(const struct cli_database *database, const struct admin_filter *filter, uint64_t limit,
         bool filtered, struct error *reterr)
{
    struct admin_counts counts;
    struct admin_messages messages;
    char *ids;
    if (!admin_held_list(database->admin, filter, limit, false, &messages, reterr)) {
        return false;
    }
    if (!admin_held_count(database->admin, filter, &counts, &ids, reterr)) {
        admin_messages_free(&messages);
        return false;
    }
    if (messages.count > 0) {
        cli_held_print_table(&messages);
    }
    print_totals(&counts, messages.count, filtered);
    memory_free(ids);
    admin_messages_free(&messages);
    return true;
}

static bool
add_one(const struct cli_database *database, const struct admin_filter *filter, uint64_t limit,
        json_t *array, struct error *reterr)
{
    struct admin_messages messages;
    if (!admin_held_list(database->admin, filter, limit, false, &messages, reterr)) {
        return false;
    }
    for (size_t i = 0; i < messages.count; i++) {
        cli_json_append(array, cli_held_json(database->source->name, &messages.messages[i], false));
    }
    admin_messages_free(&messages);
    return true;
}

static void
list(struct cli_databases *databases, const struct admin_filter *filter,
     const struct cli_held_options *options)
{
    const bool given = options->limit != LIMIT_NOT_GIVEN;
    json_t *const array = options->json ? json_array() : NULL;
    for (size_t i = 0; i < databases->count; i++) {
        const struct cli_database *const database = &databases->databases[i];
        struct error error;
        bool good;
        if (options->json) { /* a program is not to miss any for a limit that it did not set */
            good = add_one(database, filter, given ? options->limit : 0, array, &error);
        } else {
            cli_databases_heading(databases, database);
            good = list_one(database, filter, given ? options->limit : LIMIT_USUAL,
                            cli_held_is_filtered(options), &error);
        }
        if (!good) {
            databases->exit = cli_source_failed(database->source, &error);
        }
    }
    if (options->json && cli_json_print(array) != CLI_DONE) {
        databases->exit = CLI_FAILED;
    }
}

static enum cli_exit
run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_held_options options = {.limit = LIMIT_NOT_GIVEN};
    struct cli_databases databases;
    struct admin_filter filter;
    enum cli_exit exit;
    if (!cli_parse(command, argc, argv, &options, NULL, &exit) ||
        !cli_held_filter(command, &options, &filter, &exit) ||
        !cli_databases_open(command, options.config_path, options.source, &databases, &exit)) {
        return exit;
    }
    list(&databases, &filter, &options);
    exit = databases.exit;
    cli_databases_close(&databases);
    return exit;
}

const struct cli_command cli_held_list = {
    .name = "held list",
    .summary = "which messages are held",
    .usage =
        "usage: outbox-relay held list -c FILE [OPTION...]\n\n"
        "Lists the held messages of all sources, in the order of their "
        "ids.\n\n" CLI_HELD_USAGE_WHERE CLI_HELD_USAGE_FILTER
        "      --limit N           at most so many of each source; usually 50, 0: all\n"
        "      --json              one array of objects, without a limit unless one is given\n\n"
        "exit status: 0 listed, 1 a database could not be asked, 64 wrong usage, 78 wrong\n"
        "configuration\n",
    .options = option_table,
    .run = run,
};
