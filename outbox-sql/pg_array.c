#include "outbox-sql/pg_array.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

/* The server takes no larger value than 1 GiB - 1 (MaxAllocSize). */
#define VALUE_MAX_BYTES ((size_t)0x3fffffff)

static void
append(struct pg_array *array, const void *bytes, size_t length)
{
    array->failed = array->failed || !buffer_append(&array->bytes, bytes, length);
}

static void
append_uint32(struct pg_array *array, uint32_t value)
{
    const uint32_t wire = htobe32(value);
    append(array, &wire, sizeof(wire));
}

void
pg_array_init(struct pg_array *array, uint32_t element_oid, uint32_t count)
{
    *array = (struct pg_array){.left = count};
    buffer_init(&array->bytes, 0, VALUE_MAX_BYTES);
    append_uint32(array, 1); /* dimensions */
    append_uint32(array, 1); /* NULLs are possible; the server recounts */
    append_uint32(array, element_oid);
    append_uint32(array, count);
    append_uint32(array, 1); /* lower bound */
}

void
pg_array_done(struct pg_array *array)
{
    buffer_done(&array->bytes);
}

void
pg_array_add(struct pg_array *array, const void *bytes, size_t length)
{
    assert(array->left > 0);
    array->left--;
    append_uint32(array, (uint32_t)length);
    append(array, bytes, length);
}

void
pg_array_add_null(struct pg_array *array)
{
    assert(array->left > 0);
    array->left--;
    append_uint32(array, UINT32_MAX);
}

void
pg_array_add_int64(struct pg_array *array, int64_t value)
{
    const uint64_t wire = htobe64((uint64_t)value);
    pg_array_add(array, &wire, sizeof(wire));
}

void
pg_array_add_text(struct pg_array *array, const char *text)
{
    if (text == NULL) {
        pg_array_add_null(array);
    } else {
        pg_array_add(array, text, strlen(text));
    }
}
