#include <assert.h>
#include <endian.h>
#include <string.h>

#include "relay/source_postgres_private.h"

#define INT8_OID 20
#define ARRAY_HEADER_BYTES 20
#define ARRAY_ELEMENT_BYTES 12

static void
add(struct pg_parameters *parameters, const void *value, size_t size)
{
    assert(parameters->count < PG_PARAMETERS_MAX);
    parameters->values[parameters->count] = value;
    parameters->lengths[parameters->count] = (int)size;
    parameters->formats[parameters->count] = 1;
    parameters->count++;
}

void
pg_parameters_int8(struct pg_parameters *parameters, int64_t value)
{
    assert(parameters->count < PG_PARAMETERS_MAX);
    uint64_t *number = &parameters->numbers[parameters->count];
    *number = htobe64((uint64_t)value);
    add(parameters, number, sizeof(*number));
}

void
pg_parameters_oid(struct pg_parameters *parameters, uint32_t value)
{
    assert(parameters->count < PG_PARAMETERS_MAX);
    const uint32_t big = htobe32(value);
    uint64_t *number = &parameters->numbers[parameters->count];
    memcpy(number, &big, sizeof(big));
    add(parameters, number, sizeof(big));
}

void
pg_parameters_array(struct pg_parameters *parameters, const struct buffer *array)
{
    add(parameters, buffer_front(array), buffer_size(array));
}

static uint8_t *
put32(uint8_t *at, uint32_t value)
{
    const uint32_t big = htobe32(value);
    memcpy(at, &big, sizeof(big));
    return at + sizeof(big);
}

/* array_recv in PostgreSQL's arrayfuncs.c: dimensions, a flag for NULLs, the type; for each
 * dimension its length and lower bound; then the elements, each after its length. No elements:
 * no dimension. */
void
pg_parameters_encode(struct buffer *buffer, const int64_t *values, size_t count)
{
    buffer_clear(buffer);
    const size_t size = ARRAY_HEADER_BYTES + count * ARRAY_ELEMENT_BYTES;
    uint8_t *at = buffer_reserve(buffer, size);
    assert(at != NULL); /* the ceiling is far above any window; without memory the relay stops */
    const uint8_t *start = at;
    at = put32(at, count > 0 ? 1 : 0);
    at = put32(at, 0);
    at = put32(at, INT8_OID);
    if (count > 0) {
        at = put32(at, (uint32_t)count);
        at = put32(at, 1);
    }
    for (size_t i = 0; i < count; i++) {
        const uint64_t big = htobe64((uint64_t)values[i]);
        at = put32(at, sizeof(big));
        memcpy(at, &big, sizeof(big));
        at += sizeof(big);
    }
    buffer_commit(buffer, (size_t)(at - start));
}
