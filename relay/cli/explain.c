#include "relay/api/explain.h"
#include "relay/cli/databases.h"
#include "relay/cli/json.h"

struct explain_options {
    const char *config_path;
    const char *source;
    bool json;
};

static const struct cli_option option_table[] = {
    CLI_OPTION_CONFIG(struct explain_options),
    {"source", 0, CLI_TEXT, offsetof(struct explain_options, source)},
    {"json", 0, CLI_FLAG, offsetof(struct explain_options, json)},
    {0},
};

static void
print_stories(json_t *stories, bool named, const char *name)
{
    size_t i;
    size_t j;
    json_t *story;
    json_t *sentence;
    json_array_foreach(stories, i, story)
    {
        const json_t *const id = json_object_get(story, "id");
        (void)fputs(i > 0 ? "\n" : "", stdout); /* a reader who went away needs no answer */
        if (id != NULL) {
            (void)printf("message %s, id %" JSON_INTEGER_FORMAT,
                         json_string_value(json_object_get(story, "message_id")),
                         json_integer_value(id)); /* as above */
        } else {
            (void)printf("message %s", name); /* as above */
        }
        if (named) {
            (void)printf(", source \"%s\"",
                         json_string_value(json_object_get(story, "source"))); /* as above */
        }
        (void)puts(":"); /* as above */
        json_array_foreach(json_object_get(story, "text"), j, sentence)
        {
            (void)printf("  %s\n", json_string_value(sentence)); /* as above */
        }
    }
}

static enum cli_exit
explain(struct cli_databases *databases, const struct admin_name *name, bool json)
{
    json_t *const stories = json_array();
    bool known = false;
    for (size_t i = 0; i < databases->count; i++) {
        const struct cli_database *const database = &databases->databases[i];
        struct error error;
        bool known_here = false;
        if (!api_explain(database->source, database->admin, name, stories, &known_here, &error)) {
            databases->exit = cli_source_failed(database->source, &error);
        }
        known = known || known_here;
    }
    if (known) {
        api_explain_keep_known(stories);
    }
    if (json) {
        if (cli_json_print(stories) != CLI_DONE) {
            return CLI_FAILED;
        }
    } else {
        print_stories(stories, databases->named, name->text);
        json_decref(stories);
    }
    return known ? CLI_DONE : CLI_FAILED;
}

static enum cli_exit
run(const struct cli_command *command, int argc, char **argv)
{
    struct explain_options options = {0};
    struct cli_databases databases;
    struct cli_words words;
    struct admin_name name;
    enum cli_exit exit;
    if (!cli_parse(command, argc, argv, &options, &words, &exit)) {
        return exit;
    }
    if (words.count != 1) {
        return words.count == 0
                   ? cli_misused(command,
                                 "which message? Name its message id, or the id of its row")
                   : cli_misused(command, "\"%s\" is one word too many", words.words[1]);
    }
    if (!admin_name_parse(words.words[0], &name)) {
        return cli_misused(command, "\"%s\" is neither a message id nor the id of a row",
                           words.words[0]);
    }
    if (!cli_databases_open(command, options.config_path, options.source, &databases, &exit)) {
        return exit;
    }
    exit = explain(&databases, &name, options.json);
    cli_databases_close(&databases);
    return exit;
}

const struct cli_command cli_explain = {
    .name = "explain",
    .summary = "where a message is, and why it has not gone",
    .usage =
        "usage: outbox-relay explain -c FILE ID [OPTION...]\n\n"
        "Says where a message is, and why it has not gone: ID is its message id, or the id of\n"
        "its row. Asks the databases alone.\n\n"
        "  -c, --config FILE   the configuration\n"
        "      --source NAME   only this source of it\n"
        "      --json          one array of objects\n\n"
        "exit status: 0 it is known, 1 it is not or a database could not be asked, 64 wrong\n"
        "usage, 78 wrong configuration\n",
    .options = option_table,
    .run = run,
};
