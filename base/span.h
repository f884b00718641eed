/* base/span.h - bytes that belong to somebody else. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stddef.h>

/* data may be NULL when size is 0. */
struct span {
    const void *data;
    size_t size;
};

#endif
