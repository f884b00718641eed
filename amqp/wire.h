/* amqp/wire.h - AMQP's integers and strings, written to and read from plain bytes. Writers return
 * the place after what they wrote and trust the caller for the room. */
#ifndef AMQP_WIRE_H
#define AMQP_WIRE_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/reader.h"

#define SHORT_STRING_MAX 255

static inline uint8_t *
put_u8(uint8_t *at, uint8_t value)
{
    *at = value;
    return at + 1;
}

static inline uint8_t *
put_u16(uint8_t *at, uint16_t value)
{
    value = htobe16(value);
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

static inline uint8_t *
put_u32(uint8_t *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

static inline uint8_t *
put_u64(uint8_t *at, uint64_t value)
{
    value = htobe64(value);
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

/* The fields of a message are short, and a call of memcpy for each was half of the encoder's
 * time: up to 32 bytes go as two pieces of fixed size that may overlap. */
static inline uint8_t *
put_bytes(uint8_t *at, const void *data, size_t size)
{
    const uint8_t *from = data;
    if (size > 32) {
        memcpy(at, from, size);
    } else if (size >= 16) {
        memcpy(at, from, 16);
        memcpy(at + size - 16, from + size - 16, 16);
    } else if (size >= 8) {
        memcpy(at, from, 8);
        memcpy(at + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
        memcpy(at, from, 4);
        memcpy(at + size - 4, from + size - 4, 4);
    } else {
        for (size_t i = 0; i < size; i++) {
            at[i] = from[i];
        }
    }
    return at + size;
}

/* At most SHORT_STRING_MAX bytes: the caller has checked. */
static inline uint8_t *
put_short_string(uint8_t *at, struct span text)
{
    return put_bytes(put_u8(at, (uint8_t)text.size), text.data, text.size);
}

static inline struct span
read_short_string(struct reader *reader)
{
    return read_bytes(reader, read_u8(reader));
}

static inline struct span
read_long_string(struct reader *reader)
{
    return read_bytes(reader, read_u32(reader));
}

#endif
