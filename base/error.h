/* base/error.h - what went wrong, and what to do about it.
 *
 * A function that can fail returns bool (or a pointer) and fills a struct error that the caller
 * owns. Callers branch only on the class, which says what to do. The text is for people: one sentence, no newline, never a
 * secret. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

enum error_class {
    ERROR_TRANSIENT,  /* back off and try the same again */
    ERROR_CONNECTION, /* the connection is gone: open a new one, then try again */
    ERROR_MESSAGE,    /* this one message cannot go; others can */
    ERROR_CONFIG,     /* an operator must act; trying again changes nothing */
};

struct error {
    enum error_class class;
    char text[400];
};

#define PRINTF_LIKE(format_index, first) __attribute__((format(printf, format_index, first)))
#define MUST_CHECK __attribute__((warn_unused_result))

/* Fills *reterr (which may be NULL) and returns false, so that a failing function can `return
 * error_set(...)`. A text that does not fit is cut. */
bool error_set(struct error *reterr, enum error_class class, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Puts "words: " before the text that is already there, keeping the class; returns false. */
bool error_prefix(struct error *reterr, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
