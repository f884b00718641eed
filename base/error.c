#include "base/error.h"

#include <stdio.h>
#include <string.h>

bool
error_set(struct error *reterr, enum error_class class, const char *format, ...)
{
    if (reterr == NULL) {
        return false;
    }
    /* Formatted into another buffer first: an argument may point into the text that is replaced. */
    char text[sizeof(reterr->text)];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments); /* cut is fine */
    va_end(arguments);
    reterr->class = class;
    memcpy(reterr->text, text, sizeof(text));
    return false;
}

bool
error_prefix(struct error *reterr, const char *format, ...)
{
    if (reterr == NULL) {
        return false;
    }
    char words[sizeof(reterr->text)];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(words, sizeof(words), format, arguments); /* cut is fine */
    va_end(arguments);
    return error_set(reterr, reterr->class, "%s: %s", words, reterr->text);
}
