#include "relay/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Sorted by name. */
static const struct cli_command *const commands[] = {
    &cli_check,
    &cli_config_reference,
    &cli_init,
    &cli_run,
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static enum cli_exit
print_help(void)
{
    (void)printf("outbox-relay %s: from the outbox table of a database to RabbitMQ\n\n"
                 "usage: outbox-relay COMMAND [OPTION...]\n\n",
                 RELAY_VERSION); /* a reader who went away needs no help */
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (commands[i]->summary != NULL) {
            (void)printf("  %-8s %s\n", commands[i]->name, commands[i]->summary); /* as above */
        }
    }
    (void)puts(
        "\n  --help      this text; `outbox-relay COMMAND --help` for more\n"
        "  --version   the version\n\n"
        "exit status: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration"); /* as above */
    return CLI_DONE;
}

static enum cli_exit
unknown(const char *what, const char *word, const char *const *names, size_t count)
{
    const char *const nearest = text_nearest(word, names, count);
    (void)fprintf(stderr, "outbox-relay: unknown %s \"%s\"", what,
                  word); /* nowhere else to say it */
    if (nearest != NULL) {
        (void)fprintf(stderr, "; did you mean \"%s\"?", nearest); /* as above */
    }
    (void)fputs("\nTry \"outbox-relay --help\".\n", stderr); /* as above */
    return CLI_USAGE;
}

static enum cli_exit
unknown_command(const char *word)
{
    static const char *const options[] = {"--help", "--version"};
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        names[i] = commands[i]->name;
    }
    return word[0] == '-' ? unknown("option", word, options, 2)
                          : unknown("command", word, names, COMMAND_COUNT);
}

int
cli_main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fputs("outbox-relay: which command?\nTry \"outbox-relay --help\".\n",
                    stderr); /* as above */
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return print_help();
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)puts("outbox-relay " RELAY_VERSION); /* as above */
        return CLI_DONE;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i]->name) == 0) {
            return commands[i]->run(commands[i], argc - 1, argv + 1);
        }
    }
    return unknown_command(argv[1]);
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

/* letter: what getopt_long left in optopt. */
static enum cli_exit
wrong_option(const struct cli_command *command, const char *word, int letter)
{
    if (strncmp(word, "--", 2) != 0) {
        return cli_misused(command, "unknown option \"-%c\"", letter);
    }
    const char *names[CLI_OPTIONS_MAX + 1] = {"--help"};
    char dashed[CLI_OPTIONS_MAX][32];
    size_t count = 1;
    for (const struct option *option = command->options; option->name != NULL; option++) {
        (void)snprintf(dashed[count - 1], sizeof(dashed[0]), "--%s", option->name); /* fits */
        names[count] = dashed[count - 1];
        count++;
    }
    const char *const nearest = text_nearest(word, names, count);
    return cli_misused(command, "unknown option \"%s\"%s%s%s", word,
                       nearest == NULL ? "" : "; did you mean \"", nearest == NULL ? "" : nearest,
                       nearest == NULL ? "" : "\"?");
}

/* getopt_long's array: the command's and --help. */
static void
fill_options(const struct cli_command *command, struct option ret_options[CLI_OPTIONS_MAX + 1])
{
    size_t count = 0;
    for (; command->options[count].name != NULL; count++) {
        ret_options[count] = command->options[count];
    }
    ret_options[count] = (struct option){"help", no_argument, NULL, 'h'};
    ret_options[count + 1] = (struct option){0};
}

bool
cli_parse(const struct cli_command *command, int argc, char **argv, struct cli_options *ret_options,
          enum cli_exit *ret_exit)
{
    struct option options[CLI_OPTIONS_MAX + 1];
    fill_options(command, options);
    struct cli_options found = {0};
    opterr = 0;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, ":c:h", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            found.config_path = optarg;
            break;
        case 'f':
            found.flag = true;
            break;
        case 'h':
            (void)fputs(command->usage, stdout); /* a reader who went away needs no help */
            *ret_exit = CLI_DONE;
            return false;
        case ':':
            *ret_exit = cli_misused(command, "%s needs a value", argv[optind - 1]);
            return false;
        default:
            *ret_exit = wrong_option(command, argv[optind - 1], optopt);
            return false;
        }
    }
    if (optind < argc) {
        *ret_exit = cli_misused(command, "\"%s\" is one word too many", argv[optind]);
        return false;
    }
    *ret_options = found;
    return true;
}

static void
print_problem(void *context, const char *problem)
{
    (void)context;                          /* none needed */
    (void)fprintf(stderr, "%s\n", problem); /* nowhere else to say it */
}

struct config *
cli_config(const struct cli_command *command, const struct cli_options *options,
           enum cli_exit *ret_exit)
{
    if (options->config_path == NULL) {
        *ret_exit = cli_misused(command, "which configuration? Name it by -c FILE");
        return NULL;
    }
    struct config *const config = config_load(options->config_path, print_problem, NULL);
    *ret_exit = config == NULL ? CLI_CONFIG : CLI_DONE;
    return config;
}
