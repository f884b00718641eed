#include "amqp/codec.h"

#include <stdlib.h>

#include "amqp/frame.h"
#include "amqp/rabbitmq_c.h"
#include "amqp/wire.h"

struct codec {
    amqp_pool_t pool;
};

struct codec *
codec_new(void)
{
    struct codec *codec = malloc(sizeof(*codec));
    if (codec != NULL) {
        init_amqp_pool(&codec->pool, 4096);
    }
    return codec;
}

void
codec_free(struct codec *codec)
{
    if (codec != NULL) {
        empty_amqp_pool(&codec->pool);
        free(codec);
    }
}

/* rabbitmq-c never writes through what it is given to read; its struct just has no const. */
static amqp_bytes_t
bytes_of(struct span span)
{
    amqp_bytes_t bytes = {.len = span.size};
    memcpy(&bytes.bytes, &span.data, sizeof(bytes.bytes));
    return bytes;
}

const void *
codec_decode(struct codec *codec, uint32_t method, struct span arguments)
{
    /* Without this the pool keeps every method ever decoded: measured 8 MB for 200,000. */
    recycle_amqp_pool(&codec->pool);
    void *decoded = NULL;
    const int result = amqp_decode_method(method, &codec->pool, bytes_of(arguments), &decoded);
    return result == AMQP_STATUS_OK ? decoded : NULL;
}

bool
codec_append(struct buffer *output, uint16_t channel, uint32_t method, const void *decoded,
             size_t room)
{
    uint8_t *start = buffer_reserve(output, FRAME_OVERHEAD + 4 + room);
    if (start == NULL) {
        return false;
    }
    uint8_t *at = frame_begin_method(start, channel, method, 0);
    void *fields;
    memcpy(&fields, &decoded, sizeof(fields));
    const int size = amqp_encode_method(method, fields, (amqp_bytes_t){.len = room, .bytes = at});
    if (size < 0) {
        return false;
    }
    at = frame_begin_method(start, channel, method, (size_t)size) + size;
    at = put_u8(at, FRAME_END);
    buffer_commit(output, (size_t)(at - start));
    return true;
}
