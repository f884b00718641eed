#include <stdio.h>

#include "relay/cli/cli.h"
#include "relay/cli/init_run.h"
#include "relay/kinds/kinds.h"

struct init_options {
    const char *config_path;
    bool print;
    bool print_roles;
    const char *kind;
    const char *schema;
};

static const struct cli_option option_table[] = {
    CLI_OPTION_CONFIG(struct init_options),
    {"print", 0, CLI_FLAG, offsetof(struct init_options, print)},
    {"print-roles", 0, CLI_FLAG, offsetof(struct init_options, print_roles)},
    {"kind", 0, CLI_TEXT, offsetof(struct init_options, kind)},
    {"schema", 0, CLI_TEXT, offsetof(struct init_options, schema)},
    {0},
};

static enum cli_exit
print(const struct cli_command *command, const struct init_options *options)
{
    const struct database_kind *const kind =
        options->kind == NULL ? database_kinds[0]
                              : database_kind_find(database_kinds, options->kind);
    if (kind == NULL) {
        return cli_misused(command, "there is no kind of database \"%s\"", options->kind);
    }
    if (kind->schema == NULL && options->schema != NULL) {
        return cli_misused(command, "a database of kind \"%s\" has no schemas: leave out --schema",
                           kind->name);
    }
    (options->print_roles ? kind->init_print_roles : kind->init_print)(
        stdout, options->schema != NULL ? options->schema : kind->schema);
    return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

static enum cli_exit
run(const struct cli_command *command, int argc, char **argv)
{
    struct init_options options = {0};
    enum cli_exit exit;
    if (!cli_parse(command, argc, argv, &options, NULL, &exit)) {
        return exit;
    }
    if (options.print && options.print_roles) {
        return cli_misused(command, "give --print or --print-roles, not both");
    }
    if (options.print || options.print_roles) {
        return print(command, &options);
    }
    struct config *const config = cli_config(command, options.config_path, &exit);
    if (config != NULL) {
        exit = init_run(config, stdout) ? CLI_DONE : CLI_FAILED;
    }
    config_free(config);
    return exit;
}

const struct cli_command cli_init = {
    .name = "init",
    .summary = "create the outbox tables, exchanges and queues",
    .usage =
        "usage: outbox-relay init -c FILE\n"
        "       outbox-relay init --print | --print-roles [--kind KIND] [--schema NAME]\n\n"
        "Creates the outbox tables in the database of every source, each in one transaction. "
        "Tables\n"
        "that are there already keep their rows and columns; limits, triggers, functions and the "
        "view\n"
        "that were dropped or altered are put back. If an older relay made the tables, init adds\n"
        "what this version needs to those that only relays use; writers and the older relay can\n"
        "go on meanwhile. To do that by hand, print the SQL with --print, and run the part whose\n"
        "comment says so.\n\n"
        "For sources with mode \"tail\" or \"auto\" also says what an administrator has to run for "
        "the\n"
        "log to be read, and creates the publication where PostgreSQL is the database. With "
        "\"auto\"\n"
        "that is advice: until then the relay polls. PostgreSQL's replication slot is made by the\n"
        "relay when it starts.\n\n"
        "If the configuration has sections exchange, queue or binding, also creates these on "
        "their\n"
        "broker. Those that exist stay as they are; init says where they differ.\n\n"
        "  -c, --config FILE   the configuration\n"
        "      --print         only print the SQL, for whoever may run it\n"
        "      --print-roles   only print SQL that makes ready roles, to be run after that: a "
        "producer,\n"
        "                      the relay and an operator, each with what it needs and no more\n"
        "      --kind KIND     for this kind of database: postgres (the default) or mysql\n"
        "      --schema NAME   of PostgreSQL: the schema that it names (public)\n\n"
        "exit status: 0 everything exists now, 1 something could not be created, 64 wrong usage,\n"
        "78 wrong configuration\n",
    .options = option_table,
    .run = run,
};
