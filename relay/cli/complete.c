/* What shells ask for while somebody types a command: packaging/completion. They know no command and no option of their own. */
#include <stdio.h>
#include <string.h>

#include "relay/cli/cli.h"
#include "relay/kinds/kinds.h"
#include "relay/rabbit/kind.h"

/* The command line before the word that is completed. */
struct line {
    const struct cli_command *command; /* NULL: none yet */
    const struct cli_option *awaited;  /* its value is the next word; NULL: none */
    const char *config_path;           /* NULL: none yet */
};

static void
offer(const char *typed, const char *word, const char *summary)
{
    if (strncmp(word, typed, strlen(typed)) == 0) {
        (void)printf("%s%s%s\n", word, summary == NULL ? "" : "\t",
                     summary == NULL ? "" : summary); /* cli_main looks at the stream */
    }
}

static const struct cli_command *const *
commands_of(const struct cli_command *command)
{
    return command == NULL ? cli_commands : command->commands;
}

static const struct cli_command *
find_command(const struct cli_command *parent, const char *word)
{
    const struct cli_command *const *list = commands_of(parent);
    while (list != NULL && *list != NULL && strcmp(cli_own_name(*list), word) != 0) {
        list++;
    }
    return list == NULL ? NULL : *list;
}

static bool
is_option(const struct cli_option *option, const char *word)
{
    return word[0] == '-' &&
           (word[1] == '-' ? strcmp(word + 2, option->name) == 0
                           : word[1] == option->letter && word[1] != '\0' && word[2] == '\0');
}

/* The option that this word names, if a value has to follow it. */
static const struct cli_option *
find_awaited(const struct cli_command *command, const char *word)
{
    const struct cli_option *option = command == NULL ? NULL : command->options;
    for (; option != NULL && option->name != NULL; option++) {
        if (is_option(option, word)) {
            return option->kind == CLI_FLAG ? NULL : option;
        }
    }
    return NULL;
}

static void
read_word(struct line *line, const char *word)
{
    if (line->awaited != NULL) {
        if (strcmp(line->awaited->name, "config") == 0) {
            line->config_path = word;
        }
        line->awaited = NULL;
    } else if (word[0] == '-') {
        line->awaited = find_awaited(line->command, word);
    } else {
        const struct cli_command *const found = find_command(line->command, word);
        line->command = found == NULL ? line->command : found;
    }
}

static void
ignore_problem(void *context, const char *problem)
{
    (void)context; /* who types wants no answer yet */
    (void)problem; /* likewise */
}

static void
offer_sources(const char *path, const char *typed)
{
    struct config *const config =
        path == NULL ? NULL
                     : config_load(path, database_kinds, &broker_rabbit, ignore_problem, NULL);
    for (size_t i = 0; config != NULL && i < config->source_count; i++) {
        offer(typed, config->sources[i].name, NULL);
    }
    config_free(config);
}

static void
offer_values(const struct line *line, const char *typed)
{
    const char *const name = line->awaited->name;
    if (strcmp(name, "config") == 0 || strcmp(name, "control") == 0) {
        (void)puts(":files"); /* as in offer() */
    } else if (strcmp(name, "source") == 0) {
        offer_sources(line->config_path, typed);
    } else if (strcmp(name, "kind") == 0) {
        for (size_t i = 0; database_kinds[i] != NULL; i++) {
            offer(typed, database_kinds[i]->name, NULL);
        }
    }
}

static void
offer_options(const struct cli_command *command, const char *typed)
{
    char dashed[40];
    const struct cli_option *option = command == NULL ? NULL : command->options;
    for (; option != NULL && option->name != NULL; option++) {
        (void)snprintf(dashed, sizeof(dashed), "--%s", option->name); /* fits */
        offer(typed, dashed, NULL);
    }
    offer(typed, "--help", NULL);
    if (command == NULL) {
        offer(typed, "--version", NULL);
    }
}

static void
offer_commands(const struct cli_command *parent, const char *typed)
{
    for (const struct cli_command *const *list = commands_of(parent); *list != NULL; list++) {
        if ((*list)->summary != NULL) {
            offer(typed, cli_own_name(*list), (*list)->summary);
        }
    }
}

static void
complete(const struct line *line, const char *typed)
{
    if (line->awaited != NULL) {
        offer_values(line, typed);
    } else if (typed[0] != '-' && commands_of(line->command) != NULL) {
        offer_commands(line->command, typed);
    } else {
        offer_options(line->command, typed);
    }
}

static enum cli_exit
run(const struct cli_command *command, int argc, char **argv)
{
    struct line line = {0};
    struct cli_words words;
    enum cli_exit exit;
    if (!cli_parse(command, argc, argv, NULL, &words, &exit)) {
        return exit;
    }
    for (size_t i = 0; i + 1 < words.count; i++) {
        read_word(&line, words.words[i]);
    }
    complete(&line, words.count == 0 ? "" : words.words[words.count - 1]);
    return CLI_DONE;
}

const struct cli_command cli_complete = {
    .name = "complete",
    .usage =
        "usage: outbox-relay complete -- [WORD...]\n\n"
        "For shells: what the last word may become, after those before it. One a line, with a\n"
        "tab and an explanation if there is one; \":files\" for names of files.\n",
    .run = run,
};
