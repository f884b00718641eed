#include "relay/config/problem.h"

#include <stdbool.h>
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
    *problems = (struct config_problems){0};
    config_problems_enter(problems, path);
}

void
config_problems_done(struct config_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        memory_free(problems->items[i].text);
    }
    memory_free(problems->items);
    for (size_t i = 0; i < problems->path_count; i++) {
        memory_free(problems->paths[i]);
    }
    memory_free(problems->paths);
}

void
config_problems_enter(struct config_problems *problems, const char *path)
{
    char **const paths = memory_array(problems->path_count + 1, sizeof(*paths));
    for (size_t i = 0; i < problems->path_count; i++) {
        paths[i] = problems->paths[i];
    }
    paths[problems->path_count] = memory_string(path);
    memory_free(problems->paths);
    problems->paths = paths;
    problems->file = problems->path_count++;
}

char *
config_problems_line(const struct config_problems *problems, size_t file, unsigned line)
{
    return file == problems->file ? config_format("line %u", line)
                                  : config_format("line %u of %s", line, problems->paths[file]);
}

/* True if what is added now comes before `other`. */
static bool
comes_before(const struct config_problems *problems, unsigned line,
             const struct config_problem *other)
{
    return other->file > problems->file || (other->file == problems->file && other->line > line);
}

void
config_problem_add(struct config_problems *problems, unsigned line, const char *format, ...)
{
    struct config_problem *const items = memory_array(problems->count + 1, sizeof(*items));
    /* Kept in order: inserted after all problems of the same or an earlier line. */
    size_t at = problems->count;
    while (at > 0 && comes_before(problems, line, &problems->items[at - 1])) {
        at--;
    }
    for (size_t i = 0; i < problems->count; i++) {
        items[i < at ? i : i + 1] = problems->items[i];
    }
    va_list arguments;
    va_start(arguments, format);
    items[at] = (struct config_problem){problems->file, line, format_new(format, arguments)};
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
        report_one(problems->paths[problems->items[i].file], &problems->items[i], report, context);
    }
}
