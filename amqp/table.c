#include "amqp/table.h"

#include <string.h>

#include "amqp/wire.h"

void
table_writer_init(struct table_writer *writer, struct buffer *buffer)
{
    writer->buffer = buffer;
    writer->depth = 0; /* the rest is of open tables, and a message rarely has one */
}

static bool
inside_array(const struct table_writer *writer)
{
    return writer->depth > 0 && writer->array[writer->depth - 1];
}

/* Name and type letter, with room for `size` bytes of value after them; NULL if they do not fit.
 * The caller writes the value at the place returned and commits up to its end. */
static uint8_t *
begin_field(struct table_writer *writer, struct span name, char type, size_t size)
{
    const bool named = !inside_array(writer);
    if (name.size > SHORT_STRING_MAX || size > UINT32_MAX) {
        return NULL;
    }
    const size_t before = (named ? 1 + name.size : 0) + 1;
    uint8_t *at = buffer_reserve(writer->buffer, before + size);
    if (at == NULL) {
        return NULL;
    }
    if (named) {
        at = put_short_string(at, name);
    }
    at = put_u8(at, (uint8_t)type);
    buffer_commit(writer->buffer, before);
    return at;
}

static bool
end_field(struct table_writer *writer, size_t size)
{
    buffer_commit(writer->buffer, size);
    return true;
}

bool
table_put_string(struct table_writer *writer, struct span name, struct span value)
{
    uint8_t *at = begin_field(writer, name, 'S', 4 + value.size);
    if (at == NULL) {
        return false;
    }
    put_bytes(put_u32(at, (uint32_t)value.size), value.data, value.size);
    return end_field(writer, 4 + value.size);
}

static bool
put_8_bytes(struct table_writer *writer, struct span name, char type, uint64_t value)
{
    uint8_t *at = begin_field(writer, name, type, 8);
    if (at == NULL) {
        return false;
    }
    put_u64(at, value);
    return end_field(writer, 8);
}

bool
table_put_int(struct table_writer *writer, struct span name, int64_t value)
{
    return put_8_bytes(writer, name, 'l', (uint64_t)value);
}

bool
table_put_double(struct table_writer *writer, struct span name, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return put_8_bytes(writer, name, 'd', bits);
}

bool
table_put_bool(struct table_writer *writer, struct span name, bool value)
{
    uint8_t *at = begin_field(writer, name, 't', 1);
    if (at == NULL) {
        return false;
    }
    put_u8(at, value ? 1 : 0);
    return end_field(writer, 1);
}

bool
table_put_null(struct table_writer *writer, struct span name)
{
    return begin_field(writer, name, 'V', 0) != NULL;
}

/* The length comes with table_close. */
static bool
open_nested(struct table_writer *writer, struct span name, char type)
{
    if (writer->depth == TABLE_DEPTH_MAX) {
        return false;
    }
    uint8_t *at = begin_field(writer, name, type, 4);
    if (at == NULL) {
        return false;
    }
    put_u32(at, 0);
    writer->length_at[writer->depth] = buffer_size(writer->buffer);
    writer->array[writer->depth] = type == 'A';
    writer->depth++;
    return end_field(writer, 4);
}

bool
table_open_table(struct table_writer *writer, struct span name)
{
    return open_nested(writer, name, 'F');
}

bool
table_open_array(struct table_writer *writer, struct span name)
{
    return open_nested(writer, name, 'A');
}

bool
table_close(struct table_writer *writer)
{
    if (writer->depth == 0) {
        return false;
    }
    const size_t length_at = writer->length_at[writer->depth - 1];
    const size_t size = buffer_size(writer->buffer) - length_at - 4;
    if (size > UINT32_MAX) {
        return false;
    }
    writer->depth--;
    put_u32(writer->buffer->data + writer->buffer->start + length_at, (uint32_t)size);
    return true;
}

static double
double_of(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

static double
float_of(uint32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof(number));
    return (double)number;
}

/* A decimal: an unsigned exponent of ten, then a signed number. */
static double
read_decimal(struct reader *reader)
{
    const uint8_t scale = read_u8(reader);
    double number = (double)(int32_t)read_u32(reader);
    for (unsigned i = 0; i < scale; i++) {
        number /= 10;
    }
    return number;
}

/* RabbitMQ's letters: https://www.rabbitmq.com/amqp-0-9-1-errata, section 3; 'L' and 'U' as
 * older clients write them. */
static void
read_value(struct reader *reader, struct table_field *field)
{
    switch (field->type) {
    case 't':
        field->integer = read_u8(reader) != 0;
        break;
    case 'b':
        field->integer = (int8_t)read_u8(reader);
        break;
    case 'B':
        field->integer = read_u8(reader);
        break;
    case 's':
    case 'U':
        field->integer = (int16_t)read_u16(reader);
        break;
    case 'u':
        field->integer = read_u16(reader);
        break;
    case 'I':
        field->integer = (int32_t)read_u32(reader);
        break;
    case 'i':
        field->integer = read_u32(reader);
        break;
    case 'l':
    case 'L':
    case 'T':
        field->integer = (int64_t)read_u64(reader);
        break;
    case 'f':
        field->number = float_of(read_u32(reader));
        break;
    case 'd':
        field->number = double_of(read_u64(reader));
        break;
    case 'D':
        field->number = read_decimal(reader);
        break;
    case 'S':
    case 'x':
    case 'F':
    case 'A':
        field->text = read_long_string(reader);
        break;
    case 'V':
        break;
    default:
        reader->bad = true;
        break;
    }
}

bool
table_next(struct span fields, bool array, size_t *position, struct table_field *ret_field)
{
    if (*position >= fields.size) {
        return false;
    }
    const uint8_t *start = (const uint8_t *)fields.data + *position;
    struct reader reader = reader_of((struct span){start, fields.size - *position});
    struct table_field field = {0};
    if (!array) {
        field.name = read_short_string(&reader);
    }
    field.type = (char)read_u8(&reader);
    read_value(&reader, &field);
    if (reader.bad) {
        return false;
    }
    *position += (size_t)(reader.at - start);
    *ret_field = field;
    return true;
}

bool
table_find(struct span fields, const char *name, struct table_field *ret_field)
{
    const size_t length = strlen(name);
    struct table_field field;
    size_t position = 0;
    while (table_next(fields, false, &position, &field)) {
        if (field.name.size == length && memcmp(field.name.data, name, length) == 0) {
            *ret_field = field;
            return true;
        }
    }
    return false;
}
