#include "relay/check.h"

#include <stdarg.h>

static void finding(struct check *check, const char *word, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void
finding(struct check *check, const char *word, const char *format, va_list arguments)
{
    (void)fprintf(check->out, "%-8s ", word);      /* the exit status says it too */
    (void)vfprintf(check->out, format, arguments); /* as above */
    (void)fputc('\n', check->out);                 /* as above */
    (void)fflush(check->out); /* so that one sees what the next step waits for */
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
