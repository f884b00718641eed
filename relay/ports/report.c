#include "relay/ports/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void line(struct report *report, const char *word, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void
line(struct report *report, const char *word, const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0) {
        return; /* out of memory: the exit status still tells */
    }
    report->tell(report->context, word, text);
    free(text);
}

void
report_ok(struct report *report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    line(report, "ok", format, arguments);
    va_end(arguments);
}

void
report_advice(struct report *report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    line(report, "advice", format, arguments);
    va_end(arguments);
}

void
report_problem(struct report *report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    line(report, "problem", format, arguments);
    va_end(arguments);
    report->problems++;
}

void
report_lack(struct lacks *lacks, const char *format, ...)
{
    char words[600];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(words, sizeof(words), format, arguments); /* cut is fine */
    va_end(arguments);
    lacks->tell(lacks->context, words);
    lacks->count++;
}
