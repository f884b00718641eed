/* base/reader.h - integers and runs of bytes, read from plain bytes that a peer sent. Integers are in network order where the name
 * does not say otherwise. Every step is checked, and after the first one too far the reader stays `bad` and gives zeros. */
#ifndef BASE_READER_H
#define BASE_READER_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/span.h"

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

/* A little-endian one, of 1 to 8 bytes. */
static inline uint64_t
read_little(struct reader *reader, size_t size)
{
    const struct span bytes = read_bytes(reader, size);
    uint64_t value = 0;
    if (bytes.size > 0) {
        memcpy(&value, bytes.data, bytes.size);
    }
    return le64toh(value);
}

#endif
