#include "base/buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void
buffer_init(struct buffer *buffer, size_t keep, size_t max)
{
    assert(keep <= max);
    *buffer = (struct buffer){.keep = keep, .max = max};
}

void
buffer_done(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){.keep = buffer->keep, .max = buffer->max};
}

static void
move_to_front(struct buffer *buffer)
{
    if (buffer->start == 0) {
        return;
    }
    memmove(buffer->data, buffer->data + buffer->start, buffer->end - buffer->start);
    buffer->end -= buffer->start;
    buffer->start = 0;
}

static bool
grow(struct buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity > 0 ? buffer->capacity : buffer->keep;
    if (capacity < 64) {
        capacity = 64;
    }
    while (capacity < needed) {
        capacity = capacity > buffer->max / 2 ? buffer->max : capacity * 2;
    }
    uint8_t *data = realloc(buffer->data, capacity);
    if (data == NULL) {
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

uint8_t *
buffer_make_room(struct buffer *buffer, size_t size)
{
    const size_t used = buffer_size(buffer);
    if (size > buffer->max || used > buffer->max - size) {
        return NULL;
    }
    /* At most as many bytes are moved as were consumed since the last move. If fewer were consumed, the buffer grows instead,
     * so that a nearly full buffer is not moved for each small addition. */
    const bool move_is_cheap = buffer->start >= used;
    const bool fits = used + size <= buffer->capacity;
    if (buffer->data != NULL) {
        move_to_front(buffer);
    }
    if (!fits || (!move_is_cheap && buffer->capacity < buffer->max)) {
        const size_t needed = used + size > buffer->capacity ? used + size : buffer->capacity + 1;
        if (!grow(buffer, needed) && !fits) {
            return NULL;
        }
    }
    return buffer->data + buffer->end;
}

bool
buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    uint8_t *place = buffer_reserve(buffer, size);
    if (place == NULL) {
        return false;
    }
    if (size > 0) {
        memcpy(place, data, size);
    }
    buffer_commit(buffer, size);
    return true;
}

void
buffer_consume(struct buffer *buffer, size_t size)
{
    assert(size <= buffer_size(buffer));
    buffer->start += size;
    if (buffer->start == buffer->end) {
        buffer_clear(buffer);
    }
}

void
buffer_clear(struct buffer *buffer)
{
    buffer->start = 0;
    buffer->end = 0;
    if (buffer->capacity > buffer->keep && buffer->capacity > 64) {
        free(buffer->data);
        buffer->data = NULL;
        buffer->capacity = 0;
    }
}
