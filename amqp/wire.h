/* amqp/wire.h - AMQP's integers and strings, written to and read from plain bytes. Writers return
 * the place after what they wrote and trust the caller for the room; the reader checks every step
 * and stays `bad` after the first one too far. */
#ifndef AMQP_WIRE_H
#define AMQP_WIRE_H

#include <endian.h>
#include <string.h>

#include "amqp/connection.h"

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

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static inline struct reader
reader_of(struct span bytes)
{
    const uint8_t *start = bytes.size > 0 ? bytes.data : (const uint8_t *)"";
    return (struct reader){.at = start, .end = start + bytes.size};
}

/* A span of the next `size` bytes; empty, and the reader bad, if there are not as many. */
static inline struct span
read_bytes(struct reader *reader, size_t size)
{
    if (reader->bad || size > (size_t)(reader->end - reader->at)) {
        reader->bad = true;
        return (struct span){0};
    }
    const struct span bytes = {reader->at, size};
    reader->at += size;
    return bytes;
}

static inline uint8_t
read_u8(struct reader *reader)
{
    const struct span bytes = read_bytes(reader, 1);
    return bytes.size == 1 ? *(const uint8_t *)bytes.data : 0;
}

static inline uint16_t
read_u16(struct reader *reader)
{
    const struct span bytes = read_bytes(reader, 2);
    uint16_t value = 0;
    if (bytes.size == sizeof(value)) {
        memcpy(&value, bytes.data, sizeof(value));
    }
    return be16toh(value);
}

static inline uint32_t
read_u32(struct reader *reader)
{
    const struct span bytes = read_bytes(reader, 4);
    uint32_t value = 0;
    if (bytes.size == sizeof(value)) {
        memcpy(&value, bytes.data, sizeof(value));
    }
    return be32toh(value);
}

static inline uint64_t
read_u64(struct reader *reader)
{
    const struct span bytes = read_bytes(reader, 8);
    uint64_t value = 0;
    if (bytes.size == sizeof(value)) {
        memcpy(&value, bytes.data, sizeof(value));
    }
    return be64toh(value);
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
