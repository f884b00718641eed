/* base/utf8.h - is this UTF-8 as RFC 3629 has it: no overlong form, no surrogate, nothing above
 * U+10FFFF? */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* A zero byte counts as not valid: text here goes to places (PostgreSQL, C strings) that cannot
 * hold one. */
bool utf8_is_text(const void *bytes, size_t length);

#endif
