#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/api/text.h"
#include "relay/cli/cli.h"
#include "relay/daemon/control_client.h"

#define TIMEOUT_US (60 * CLOCK_S_US)

struct reload_options {
    const char *config_path;
    const char *control;
    uint64_t timeout_us;
};

static const struct cli_option option_table[] = {
    CLI_OPTION_CONFIG(struct reload_options),
    {"control", 0, CLI_TEXT, offsetof(struct reload_options, control)},
    {"timeout", 0, CLI_DURATION, offsetof(struct reload_options, timeout_us)},
    {0},
};

static void
print_line(void *context, bool problem, const char *text)
{
    (void)context; /* none needed */
    if (text[0] != '\0') {
        char *const clean = api_text_clean(text); /* a server's words may be in it */
        (void)fprintf(problem ? stderr : stdout, problem ? "%s\n" : "in force: %s\n",
                      clean); /* nowhere else to say it */
        memory_free(clean);
    }
}

static enum cli_exit
tell(enum control_answer answer)
{
    static const char *const words[] = {
        [CONTROL_ANSWER_REFUSED] =
            "the relay refuses this configuration; the one that it has is still in force",
        [CONTROL_ANSWER_STOPPING] = "the relay is ending",
        [CONTROL_ANSWER_SUPERSEDED] = "another reload came before this one was in force",
        [CONTROL_ANSWER_LATE] =
            "the configuration is not in force yet, as sources are still draining; the relay "
            "goes on with it, and its log says when it is done (event=reloaded)",
        [CONTROL_ANSWER_FAILED] = NULL,
    };
    if (answer == CONTROL_ANSWER_IN_FORCE) {
        return CLI_DONE;
    }
    if (words[answer] != NULL) {
        (void)fprintf(stderr, "%s\n", words[answer]); /* nowhere else to say it */
    }
    return answer == CONTROL_ANSWER_REFUSED ? CLI_CONFIG : CLI_FAILED;
}

static enum cli_exit
ask(const char *path, uint64_t timeout_us)
{
    struct error error;
    enum control_answer answer;
    if (!control_ask(path, timeout_us, print_line, NULL, &answer, &error)) {
        (void)fprintf(stderr, "%s\n", error.text); /* nowhere else to say it */
        return CLI_FAILED;
    }
    return tell(answer);
}

static enum cli_exit
ask_by_config(const struct cli_command *command, const struct reload_options *options)
{
    enum cli_exit exit;
    struct config *const config = cli_config(command, options->config_path, &exit);
    if (config == NULL) {
        return exit;
    }
    if (config->control != NULL) {
        exit = ask(config->control, options->timeout_us);
    } else {
        (void)fprintf(stderr,
                      "%s is good, but names no `control` socket: give the relay one and restart "
                      "it, or send it SIGHUP and look into its log\n",
                      options->config_path); /* nowhere else to say it */
        exit = CLI_FAILED;
    }
    config_free(config);
    return exit;
}

static enum cli_exit
run(const struct cli_command *command, int argc, char **argv)
{
    struct reload_options options = {.timeout_us = TIMEOUT_US};
    enum cli_exit exit;
    if (!cli_parse(command, argc, argv, &options, NULL, &exit)) {
        return exit;
    }
    if (options.control != NULL && options.config_path == NULL) {
        return ask(options.control, options.timeout_us);
    }
    if (options.control != NULL) {
        return cli_misused(command, "either -c FILE or --control PATH");
    }
    return ask_by_config(command, &options);
}

const struct cli_command cli_reload = {
    .name = "reload",
    .summary = "tell a running relay to follow its changed configuration",
    .usage =
        "usage: outbox-relay reload -c FILE [--timeout TIME]\n"
        "       outbox-relay reload --control PATH [--timeout TIME]\n\n"
        "Checks the configuration, tells the relay that runs with it to read it again, and waits\n"
        "until it is in force: sources that are new run, those that are gone have drained, those\n"
        "with other settings have started anew, and all others ran on untouched. A configuration\n"
        "that is bad is refused whole.\n\n"
        "  -c, --config FILE   the configuration; its key `control` says where the relay hears\n"
        "      --control PATH  the socket itself: nothing is checked here, only by the relay, "
        "with\n"
        "                      its own environment and rights\n"
        "      --timeout TIME  how long to wait; 60s unless given\n\n"
        "exit status: 0 in force, 1 not, or not wholly, in force, 64 wrong usage, 78 wrong\n"
        "configuration, and the relay runs on with the one before\n",
    .options = option_table,
    .run = run,
};
