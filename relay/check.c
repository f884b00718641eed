#include "relay/check.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/memory.h"
#include "relay/cli_text.h"

static void finding(struct check *check, const char *word, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* Servers' words are in it, which may say anything: nothing of them reaches the terminal as it is, and none begins a line. */
static void
finding(struct check *check, const char *word, const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0) {
        return; /* out of memory: the exit status says it */
    }
    char *const clean = cli_text_clean(text);
    free(text);
    (void)fprintf(check->out, "%-8s %s\n", word, clean); /* cli_main looks at the stream */
    (void)fflush(check->out); /* so that one sees what the next step waits for */
    memory_free(clean);
}

void
check_ok(struct check *check, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    finding(check, "ok", format, arguments);
    va_end(arguments);
}

void
check_advice(struct check *check, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    finding(check, "advice", format, arguments);
    va_end(arguments);
}

void
check_problem(struct check *check, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    finding(check, "problem", format, arguments);
    va_end(arguments);
    check->problems++;
}

bool
check_run(const struct config *config, FILE *out)
{
    struct check check = {.out = out};
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
