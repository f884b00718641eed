#include "relay/cli/check_run.h"

#include "base/memory.h"
#include "relay/cli/text.h"
#include "relay/ports/check.h"
#include "relay/postgres/check.h"
#include "relay/rabbit/check.h"

/* Servers' words are in it, which may say anything: nothing of them reaches the terminal as it is, and none begins a line. */
static void
say(void *context, const char *word, const char *words)
{
    FILE *const out = context;
    char *const clean = cli_text_clean(words);
    (void)fprintf(out, "%-8s %s\n", word, clean); /* cli_main looks at the stream */
    (void)fflush(out); /* so that one sees what the next step waits for */
    memory_free(clean);
}

bool
check_run(const struct config *config, FILE *out)
{
    struct check check = {.tell = say, .context = out};
    for (size_t i = 0; i < config->warnings.count; i++) {
        check_problem(&check, "configuration: %s", config->warnings.texts[i]);
    }
    for (size_t i = 0; i < config->advice.count; i++) {
        check_advice(&check, "configuration: %s", config->advice.texts[i]);
    }
    for (size_t i = 0; i < config->source_count; i++) {
        check_postgres(&check, &config->sources[i]);
    }
    for (size_t i = 0; i < config->broker_count; i++) {
        check_broker(&check, config, &config->brokers[i]);
    }
    if (check.problems == 0) {
        (void)fputs("no problems\n", out); /* the exit status says it too */
    } else {
        (void)fprintf(out, "%zu problem%s\n", check.problems,
                      check.problems == 1 ? "" : "s"); /* as above */
    }
    return check.problems == 0;
}
