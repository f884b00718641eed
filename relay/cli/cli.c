#include "relay/cli/cli.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"
#include "relay/api/text.h"
#include "relay/kinds/kinds.h"
#include "relay/rabbit/kind.h"

const struct cli_command *const cli_commands[] = {
    &cli_check, &cli_complete,          &cli_config_reference, &cli_explain, &cli_held,
    &cli_init,  &cli_metrics_reference, &cli_reload,           &cli_run,     &cli_status,
    NULL,
};
#define COMMANDS_MAX 16

static enum cli_exit
print_help(void)
{
    (void)printf("outbox-relay %s: from the outbox table of a database to RabbitMQ\n\n"
                 "usage: outbox-relay COMMAND [OPTION...]\n\n",
                 RELAY_VERSION); /* a reader who went away needs no help */
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        if (cli_commands[i]->summary != NULL) {
            (void)printf("  %-8s %s\n", cli_commands[i]->name,
                         cli_commands[i]->summary); /* as above */
        }
    }
    (void)puts(
        "\n  --help      this text; `outbox-relay COMMAND --help` for more\n"
        "  --version   the version\n\n"
        "exit status: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration"); /* as above */
    return CLI_DONE;
}

/* parent: the command whose subcommand or option is unknown, or NULL. */
static enum cli_exit
unknown(const struct cli_command *parent, const char *what, const char *word,
        const char *const *names, size_t count)
{
    const char *const blank = parent == NULL ? "" : " ";
    const char *const name = parent == NULL ? "" : parent->name;
    const char *const nearest = text_nearest(word, names, count);
    (void)fprintf(stderr, "outbox-relay%s%s: unknown %s \"%s\"", blank, name, what,
                  word); /* nowhere else to say it */
    if (nearest != NULL) {
        (void)fprintf(stderr, "; did you mean \"%s\"?", nearest); /* as above */
    }
    (void)fprintf(stderr, "\nTry \"outbox-relay%s%s --help\".\n", blank, name); /* as above */
    return CLI_USAGE;
}

const char *
cli_own_name(const struct cli_command *command)
{
    const char *const blank = strrchr(command->name, ' ');
    return blank == NULL ? command->name : blank + 1;
}

static enum cli_exit
unknown_command(const struct cli_command *parent, const struct cli_command *const *list,
                const char *word)
{
    static const char *const options[] = {"--help", "--version"};
    const char *names[COMMANDS_MAX];
    size_t count = 0;
    for (; list[count] != NULL; count++) {
        assert(count < COMMANDS_MAX);
        names[count] = cli_own_name(list[count]);
    }
    return word[0] == '-' ? unknown(parent, "option", word, options, parent == NULL ? 2 : 1)
                          : unknown(parent, "command", word, names, count);
}

static enum cli_exit
which_command(const struct cli_command *parent)
{
    const char *const blank = parent == NULL ? "" : " ";
    const char *const name = parent == NULL ? "" : parent->name;
    (void)fprintf(stderr, "outbox-relay%s%s: which command?\nTry \"outbox-relay%s%s --help\".\n",
                  blank, name, blank, name); /* nowhere else to say it */
    return CLI_USAGE;
}

static bool
is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* argv[0] is the parent's name, or the program's. */
static enum cli_exit
dispatch(const struct cli_command *parent, const struct cli_command *const *list, int argc,
         char **argv)
{
    if (argc < 2) {
        return which_command(parent);
    }
    for (size_t i = 0; list[i] != NULL; i++) {
        const struct cli_command *const command = list[i];
        if (strcmp(argv[1], cli_own_name(command)) == 0) {
            return command->commands == NULL
                       ? command->run(command, argc - 1, argv + 1)
                       : dispatch(command, command->commands, argc - 1, argv + 1);
        }
    }
    if (parent != NULL && is_help(argv[1])) {
        (void)fputs(parent->usage, stdout); /* a reader who went away needs no help */
        return CLI_DONE;
    }
    return unknown_command(parent, list, argv[1]);
}

/* If a standard descriptor is closed, the next socket would get its number, and output would go there. So it is opened
 * on /dev/null in the wrong direction, and printing fails. */
static void
fill_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            /* open() takes the lowest free number, which is this one. */
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); /* else as it was */
        }
    }
}

static enum cli_exit
run_command(int argc, char **argv)
{
    if (argc >= 2 && is_help(argv[1])) {
        return print_help();
    }
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        (void)puts("outbox-relay " RELAY_VERSION); /* cli_main looks at the stream */
        return CLI_DONE;
    }
    return dispatch(NULL, cli_commands, argc, argv);
}

int
cli_main(int argc, char **argv)
{
    fill_descriptors();
    enum cli_exit exit = run_command(argc, argv);
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        const int reason = errno;
        (void)fprintf(stderr, "outbox-relay: the output could not be written%s%s\n",
                      reason == 0 ? "" : ": ",
                      reason == 0 ? "" : strerror(reason)); /* nowhere else to say it */
        exit = exit == CLI_DONE ? CLI_FAILED : exit;
    }
    return exit;
}

enum cli_exit
cli_misused(const struct cli_command *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "outbox-relay %s: ", command->name); /* nowhere else to say it */
    (void)vfprintf(stderr, format, arguments);                 /* as above */
    va_end(arguments);
    (void)fprintf(stderr, "\nTry \"outbox-relay %s --help\".\n", command->name); /* as above */
    return CLI_USAGE;
}

static size_t
option_count(const struct cli_command *command)
{
    size_t count = 0;
    while (command->options != NULL && command->options[count].name != NULL) {
        count++;
    }
    assert(count <= CLI_OPTIONS_MAX);
    return count;
}

/* letter: what getopt_long left in optopt. */
static enum cli_exit
wrong_option(const struct cli_command *command, const char *word, int letter)
{
    if (strncmp(word, "--", 2) != 0) {
        return cli_misused(command, "unknown option \"-%c\"", letter);
    }
    const char *names[CLI_OPTIONS_MAX + 1] = {"--help"};
    char dashed[CLI_OPTIONS_MAX][32];
    const size_t count = option_count(command);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(dashed[i], sizeof(dashed[0]), "--%s", command->options[i].name); /* fits */
        names[i + 1] = dashed[i];
    }
    const char *const nearest = text_nearest(word, names, count + 1);
    return cli_misused(command, "unknown option \"%s\"%s%s%s", word,
                       nearest == NULL ? "" : "; did you mean \"", nearest == NULL ? "" : nearest,
                       nearest == NULL ? "" : "\"?");
}

/* The command's options and --help, in the form that getopt_long needs. */
struct getopt_table {
    struct option options[CLI_OPTIONS_MAX + 2];
    char letters[2 * CLI_OPTIONS_MAX + 3];
};

/* getopt_long returns this plus the index for an option without a letter. */
#define FIRST_VALUE 256

static void
fill_table(const struct cli_command *command, struct getopt_table *ret_table)
{
    const size_t count = option_count(command);
    char *letter = ret_table->letters;
    *letter++ = ':'; /* makes getopt_long tell a missing value from an unknown option */
    *letter++ = 'h';
    for (size_t i = 0; i < count; i++) {
        const struct cli_option *const option = &command->options[i];
        const bool has_value = option->kind != CLI_FLAG;
        ret_table->options[i] =
            (struct option){option->name, has_value ? required_argument : no_argument, NULL,
                            option->letter != 0 ? option->letter : FIRST_VALUE + (int)i};
        if (option->letter != 0) {
            *letter++ = option->letter;
        }
        if (option->letter != 0 && has_value) {
            *letter++ = ':';
        }
    }
    *letter = '\0';
    ret_table->options[count] = (struct option){"help", no_argument, NULL, 'h'};
    ret_table->options[count + 1] = (struct option){0};
}

static const struct cli_option *
find_option(const struct cli_command *command, int value)
{
    const struct cli_option *option = command->options;
    if (value >= FIRST_VALUE) {
        return option + (value - FIRST_VALUE);
    }
    while (option->letter != value) {
        option++;
    }
    return option;
}

static bool
set_option(const struct cli_command *command, const struct cli_option *option, const char *text,
           void *options, enum cli_exit *ret_exit)
{
    void *const member = (char *)options + option->member;
    switch (option->kind) {
    case CLI_FLAG:
        *(bool *)member = true;
        return true;
    case CLI_TEXT:
        *(const char **)member = text;
        return true;
    case CLI_NUMBER:
        if (text_parse_number(text, member)) {
            return true;
        }
        *ret_exit =
            cli_misused(command, "--%s \"%s\": expected a whole number", option->name, text);
        return false;
    case CLI_DURATION:
        if (text_parse_duration(text, member)) {
            return true;
        }
        *ret_exit = cli_misused(command, "--%s \"%s\": expected a duration such as 30s, 5m, 2h, 1d",
                                option->name, text);
        return false;
    }
    return false;
}

/* True to go on. */
static bool
take_option(const struct cli_command *command, int value, char **argv, void *options,
            enum cli_exit *ret_exit)
{
    switch (value) {
    case 'h':
        (void)fputs(command->usage, stdout); /* a reader who went away needs no help */
        *ret_exit = CLI_DONE;
        return false;
    case ':':
        *ret_exit = cli_misused(command, "%s needs a value", argv[optind - 1]);
        return false;
    case '?':
        *ret_exit = wrong_option(command, argv[optind - 1], optopt);
        return false;
    default:
        return set_option(command, find_option(command, value), optarg, options, ret_exit);
    }
}

bool
cli_parse(const struct cli_command *command, int argc, char **argv, void *options,
          struct cli_words *ret_words, enum cli_exit *ret_exit)
{
    struct getopt_table table;
    fill_table(command, &table);
    opterr = 0;
    optind = 1;
    for (int value; (value = getopt_long(argc, argv, table.letters, table.options, NULL)) != -1;) {
        if (!take_option(command, value, argv, options, ret_exit)) {
            return false;
        }
    }
    if (ret_words != NULL) {
        *ret_words = (struct cli_words){argv + optind, (size_t)(argc - optind)};
    } else if (optind < argc) {
        *ret_exit = cli_misused(command, "\"%s\" is one word too many", argv[optind]);
        return false;
    }
    return true;
}

static void
print_problem(void *context, const char *problem)
{
    (void)context;                          /* none needed */
    (void)fprintf(stderr, "%s\n", problem); /* nowhere else to say it */
}

struct config *
cli_config(const struct cli_command *command, const char *path, enum cli_exit *ret_exit)
{
    if (path == NULL) {
        *ret_exit = cli_misused(command, "which configuration? Name it by -c FILE");
        return NULL;
    }
    struct config *const config =
        config_load(path, database_kinds, &broker_rabbit, print_problem, NULL);
    *ret_exit = config == NULL ? CLI_CONFIG : CLI_DONE;
    return config;
}

static enum cli_exit
unknown_source(const struct cli_command *command, const struct config *config, const char *name)
{
    const char **const names = memory_array(config->source_count, sizeof(*names));
    for (size_t i = 0; i < config->source_count; i++) {
        names[i] = config->sources[i].name;
    }
    const char *const nearest = text_nearest(name, names, config->source_count);
    memory_free(names);
    return cli_misused(command, "there is no source \"%s\"%s%s%s", name,
                       nearest == NULL ? "" : "; did you mean \"", nearest == NULL ? "" : nearest,
                       nearest == NULL ? "" : "\"?");
}

bool
cli_sources(const struct cli_command *command, const struct config *config, const char *name,
            struct cli_sources *ret_sources, enum cli_exit *ret_exit)
{
    if (name == NULL) {
        *ret_sources = (struct cli_sources){config->sources, config->source_count};
        return true;
    }
    for (size_t i = 0; i < config->source_count; i++) {
        if (strcmp(config->sources[i].name, name) == 0) {
            *ret_sources = (struct cli_sources){&config->sources[i], 1};
            return true;
        }
    }
    *ret_exit = unknown_source(command, config, name);
    return false;
}

enum cli_exit
cli_source_failed(const struct source_config *source, const struct error *error)
{
    char *const clean = api_text_clean(error->text); /* a server's words may be in it */
    (void)fprintf(stderr, "source \"%s\": %s\n", source->name, clean); /* nowhere else to say it */
    memory_free(clean);
    return CLI_FAILED;
}
