#include "relay/ports/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void finding(struct check *check, const char *word, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void
finding(struct check *check, const char *word, const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0) {
        return; /* out of memory: the exit status says it */
    }
    check->tell(check->context, word, text);
    free(text);
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
