#include <inttypes.h>

#include "base/memory.h"
#include "relay/api/held.h"
#include "relay/api/text.h"
#include "relay/cli/databases.h"
#include "relay/cli/held.h"
#include "relay/cli/json.h"
#include "relay/cli/table.h"

#define LIMIT_USUAL 50
#define PAGE_ROWS 500
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
    (void)printf("%" PRIu64 " message%s: %s\n", sum, api_text_plural(sum), text); /* as above */
    if (sum > listed) {
        (void)printf("%" PRIu64 " more; use --limit\n", sum - listed); /* as above */
    }
}

/* A list that is being printed: as a table, or else as JSON. */
struct output {
    const char *source;
    struct cli_table *table;
    struct cli_json_stream *json;
    size_t listed;
};

static void
put_out(struct output *output, const struct admin_messages *messages)
{
    output->listed += messages->count;
    if (output->table != NULL && messages->count > 0) {
        cli_held_table_go_on(output->table, messages);
    }
    for (size_t i = 0; output->json != NULL && i < messages->count; i++) {
        cli_json_stream_add(output->json, api_held_json(output->source, &messages->messages[i]));
    }
}

/* Prints in pages, so that 100,000 messages need only the memory of some hundred, and the first ones appear at once.
 * limit 0: all. */
static bool
put_out_all(const struct cli_database *database, const struct admin_filter *filter, uint64_t limit,
            struct output *output, struct error *reterr)
{
    struct admin_filter rest = *filter;
    int64_t last;
    uint64_t rows = PAGE_ROWS; /* fewer after a text that is not UTF-8 */
    for (bool more = true; more;) {
        struct admin_messages page;
        const uint64_t left = limit == 0 ? rows : limit - output->listed;
        const uint64_t wanted = left < rows ? left : rows;
        if (!admin_held_list(database->admin, &rest, wanted, false, &page, reterr)) {
            return false;
        }
        put_out(output, &page);
        more = page.count > 0 && (page.cut || page.count == wanted) &&
               (limit == 0 || output->listed < limit);
        rows = 2 * page.count < PAGE_ROWS ? 2 * page.count : PAGE_ROWS;
        if (more) {
            last = page.messages[page.count - 1].id;
            rest.after = &last;
        }
        admin_messages_free(&page);
    }
    return true;
}

static bool
list_one(const struct cli_database *database, const struct admin_filter *filter, uint64_t limit,
         bool filtered, struct error *reterr)
{
    struct admin_counts counts;
    struct admin_ids ids;
    struct output output = {.table = cli_held_table()};
    const bool good = put_out_all(database, filter, limit, &output, reterr);
    cli_table_free(output.table);
    if (!good || !admin_held_count(database->admin, filter, &counts, &ids, reterr)) {
        return false;
    }
    print_totals(&counts, output.listed, filtered);
    memory_free(ids.items);
    return true;
}

static void
list(struct cli_databases *databases, const struct admin_filter *filter,
     const struct cli_held_options *options)
{
    const bool given = options->limit != LIMIT_NOT_GIVEN;
    struct cli_json_stream json = {0};
    for (size_t i = 0; i < databases->count; i++) {
        const struct cli_database *const database = &databases->databases[i];
        struct output output = {.source = database->source->name, .json = &json};
        struct error error;
        bool good;
        if (options->json) { /* without --limit a program gets all */
            good = put_out_all(database, filter, given ? options->limit : 0, &output, &error);
        } else {
            cli_databases_heading(databases, database);
            good = list_one(database, filter, given ? options->limit : LIMIT_USUAL,
                            cli_held_is_filtered(options), &error);
        }
        if (!good) {
            databases->exit = cli_source_failed(database->source, &error);
        }
    }
    if (options->json && cli_json_stream_end(&json) != CLI_DONE) {
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
