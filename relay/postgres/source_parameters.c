#include <assert.h>
#include <endian.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "relay/postgres/source_private.h"

#define BYTEA_OID 17
#define INT8_OID 20
#define TEXT_OID 25
#define ARRAY_HEADER_BYTES 20
#define ARRAY_COUNT_AT 12 /* in the header of an array with elements */
#define SPAN_MAX_US (UINT64_C(100) * 366 * 24 * 3600 * CLOCK_S_US)
#define ARRAY_NULL UINT32_MAX /* the length of a NULL */

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

int64_t
pg_parameters_span_us(uint64_t span_us)
{
    return (int64_t)(span_us < SPAN_MAX_US ? span_us : SPAN_MAX_US);
}

void
pg_parameters_null(struct pg_parameters *parameters)
{
    add(parameters, NULL, 0);
}

void
pg_parameters_bool(struct pg_parameters *parameters, bool value)
{
    assert(parameters->count < PG_PARAMETERS_MAX);
    uint64_t *number = &parameters->numbers[parameters->count];
    memcpy(number, &(uint8_t){value}, 1);
    add(parameters, number, 1);
}

void
pg_parameters_double(struct pg_parameters *parameters, double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    pg_parameters_int8(parameters, bits);
}

void
pg_parameters_text(struct pg_parameters *parameters, const char *text)
{
    add(parameters, text, text != NULL ? strlen(text) : 0);
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

static void
append(struct buffer *buffer, const void *data, size_t size)
{
    const bool good = buffer_append(buffer, data, size);
    assert(good); /* the limit is far above any window; out of memory the relay stops */
    (void)good;
}

/* The format of array_recv in PostgreSQL's arrayfuncs.c: number of dimensions, a flag for NULLs (ignored), the type;
 * for each dimension its length and lower bound; then each element after its length. An array without elements has no
 * dimension. */
static void
begin(struct buffer *buffer, uint32_t type, size_t count)
{
    uint8_t header[ARRAY_HEADER_BYTES];
    uint8_t *at = header;
    at = put32(at, count > 0 ? 1 : 0);
    at = put32(at, 0);
    at = put32(at, type);
    if (count > 0) {
        at = put32(at, (uint32_t)count);
        at = put32(at, 1);
    }
    buffer_clear(buffer);
    append(buffer, header, (size_t)(at - header));
}

void
pg_array_begin_int8(struct buffer *buffer, size_t count)
{
    begin(buffer, INT8_OID, count);
}

void
pg_array_put_int8(struct buffer *buffer, int64_t value)
{
    uint8_t element[4 + sizeof(value)];
    const uint64_t big = htobe64((uint64_t)value);
    memcpy(put32(element, sizeof(big)), &big, sizeof(big));
    append(buffer, element, sizeof(element));
}

void
pg_parameters_encode(struct buffer *buffer, const int64_t *values, size_t count)
{
    pg_array_begin_int8(buffer, count);
    for (size_t i = 0; i < count; i++) {
        pg_array_put_int8(buffer, values[i]);
    }
}

void
pg_array_begin_text(struct buffer *buffer, size_t count)
{
    begin(buffer, TEXT_OID, count);
}

void
pg_array_put_text(struct buffer *buffer, const char *text, bool utf8)
{
    uint8_t length[4];
    const size_t size = text != NULL ? strlen(text) : 0;
    (void)put32(length, text != NULL ? (uint32_t)size : ARRAY_NULL); /* its end is not needed */
    append(buffer, length, sizeof(length));
    append(buffer, text, size);
    if (size > 0) {
        pg_text_clean((char *)buffer->data + buffer->end - size, size, utf8);
    }
}

/* The header says one element until pg_array_end sets the number. */
void
pg_array_begin_bytea(struct buffer *buffer)
{
    begin(buffer, BYTEA_OID, 1);
}

void
pg_array_put_bytes(struct buffer *buffer, const void *bytes, size_t size)
{
    uint8_t length[4];
    (void)put32(length, (uint32_t)size); /* its end is not needed */
    append(buffer, length, sizeof(length));
    append(buffer, bytes, size);
}

void
pg_array_end(struct buffer *buffer, size_t count)
{
    assert(count > 0);
    (void)put32(buffer->data + buffer->start + ARRAY_COUNT_AT,
                (uint32_t)count); /* its end is not needed */
}

void
pg_text_clean(char *text, size_t size, bool utf8)
{
    if (utf8 && utf8_is_text(text, size)) {
        return;
    }
    for (size_t i = 0; i < size; i++) {
        if ((text[i] & 0x80) != 0) {
            text[i] = '?';
        }
    }
}
