/* base/buffer.h - a growable run of bytes, filled at its end and consumed from its front; its ceiling is set when it is made.
 * Holds the output to a socket, and the input from one. Memory that one large message needed is given back once the buffer is
 * empty. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct buffer {
    uint8_t *data;
    size_t start;    /* first byte not consumed */
    size_t end;      /* one past the last byte written */
    size_t capacity; /* bytes allocated */
    size_t keep;     /* allocation kept when empty */
    size_t max;      /* the ceiling: more than this is refused */
};

/* Allocates nothing yet. keep <= max, both in bytes. */
void buffer_init(struct buffer *buffer, size_t keep, size_t max);
void buffer_done(struct buffer *buffer);

/* A place for `size` more bytes at the end, or NULL when the ceiling or the memory does not allow
 * it; the caller writes there and calls buffer_commit with what it used. The pointer is good until
 * the next call that adds to the buffer. */
static inline uint8_t *buffer_reserve(struct buffer *buffer, size_t size) MUST_CHECK;
static inline void buffer_commit(struct buffer *buffer, size_t size);

/* reserve + copy + commit. */
bool buffer_append(struct buffer *buffer, const void *data, size_t size) MUST_CHECK;

/* Drops `size` bytes from the front. */
void buffer_consume(struct buffer *buffer, size_t size);

/* Drops everything, gives back what is above `keep`. */
void buffer_clear(struct buffer *buffer);

static inline size_t
buffer_size(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline const uint8_t *
buffer_front(const struct buffer *buffer)
{
    return buffer->data + buffer->start;
}

/* buffer_reserve, where there is not enough room at the end. */
uint8_t *buffer_make_room(struct buffer *buffer, size_t size) MUST_CHECK;

/* Inline, as is the next: a message is written in a dozen pieces. */
static inline uint8_t *
buffer_reserve(struct buffer *buffer, size_t size)
{
    if (size <= buffer->capacity - buffer->end && buffer->data != NULL) {
        return buffer->data + buffer->end;
    }
    return buffer_make_room(buffer, size);
}

static inline void
buffer_commit(struct buffer *buffer, size_t size)
{
    assert(size <= buffer->capacity - buffer->end);
    buffer->end += size;
}

#endif
