#include "relay/config/problem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static char *format_new(const char *format, va_list arguments)
    __attribute__((format(printf, 1, 0)));

static char *
format_new(const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0) {
        abort(); /* memory is out; base/memory.h says why that ends the process */
    }
    return text;
}

char *
config_format(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *const text = format_new(format, arguments);
    va_end(arguments);
    return text;
}

void
config_problems_init(struct config_problems *problems, const char *path)
{
    *problems = (struct config_problems){.path = path};
}

void
config_problems_done(struct config_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        memory_free(problems->items[i].text);
    }
    memory_free(problems->items);
}

void
config_problem_add(struct config_problems *problems, unsigned line, const char *format, ...)
{
    struct config_problem *const items = memory_array(problems->count + 1, sizeof(*items));
    /* Kept in order: inserted after all problems of the same or an earlier line. */
    size_t at = problems->count;
    while (at > 0 && problems->items[at - 1].line > line) {
        at--;
    }
    for (size_t i = 0; i < problems->count; i++) {
        items[i < at ? i : i + 1] = problems->items[i];
    }
    va_list arguments;
    va_start(arguments, format);
    items[at] = (struct config_problem){line, format_new(format, arguments)};
    va_end(arguments);
    memory_free(problems->items);
    problems->items = items;
    problems->count++;
}

static void
report_one(const char *path, const struct config_problem *problem,
           void (*report)(void *context, const char *problem), void *context)
{
    char *const text = problem->line == 0
                           ? config_format("%s: %s", path, problem->text)
                           : config_format("%s:%u: %s", path, problem->line, problem->text);
    report(context, text);
    memory_free(text);
}

void
config_problems_report(struct config_problems *problems,
                       void (*report)(void *context, const char *problem), void *context)
{
    for (size_t i = 0; i < problems->count; i++) {
        report_one(problems->path, &problems->items[i], report, context);
    }
}
