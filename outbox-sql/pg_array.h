/* outbox-sql/pg_array.h - private to liboutbox-pg: a one-dimensional array in PostgreSQL's binary format, as array_recv
 * reads it: dimensions, has-null flag, element type, length, lower bound, then each element behind its length (-1: NULL);
 * all numbers are 32 bits, big-endian. */
#ifndef OUTBOX_SQL_PG_ARRAY_H
#define OUTBOX_SQL_PG_ARRAY_H

#include <stdint.h>

#include "base/buffer.h"

struct pg_array {
    struct buffer bytes;
    uint32_t left; /* elements still to come */
    bool failed;   /* no memory; sticks, so that one look at the end is enough */
};

/* An array of exactly `count` elements of the type with this oid. pg_array_done frees it. */
void pg_array_init(struct pg_array *array, uint32_t element_oid, uint32_t count);
void pg_array_done(struct pg_array *array);

/* The next element; the bytes are copied. */
void pg_array_add(struct pg_array *array, const void *bytes, size_t length);
void pg_array_add_null(struct pg_array *array);
void pg_array_add_int64(struct pg_array *array, int64_t value);

/* The next element: the text without its terminating zero, or NULL for NULL. */
void pg_array_add_text(struct pg_array *array, const char *text);

#endif
