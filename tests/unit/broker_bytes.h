/* Builds bytes as a broker would send them, field by field. Header-only, for the tests of amqp/. */
#ifndef TESTS_BROKER_BYTES_H
#define TESTS_BROKER_BYTES_H

#include <assert.h>
#include <string.h>

#include "amqp/rabbitmq_c.h"
#include "amqp/wire.h"

struct broker_bytes {
    uint8_t bytes[1 << 20];
    size_t size;
    size_t frame_at; /* the frame being built */
};

static inline void
broker_u8(struct broker_bytes *out, uint8_t value)
{
    out->bytes[out->size++] = value;
}

static inline void
broker_u16(struct broker_bytes *out, uint16_t value)
{
    put_u16(out->bytes + out->size, value);
    out->size += 2;
}

static inline void
broker_u32(struct broker_bytes *out, uint32_t value)
{
    put_u32(out->bytes + out->size, value);
    out->size += 4;
}

static inline void
broker_u64(struct broker_bytes *out, uint64_t value)
{
    put_u64(out->bytes + out->size, value);
    out->size += 8;
}

static inline void
broker_raw(struct broker_bytes *out, const void *data, size_t size)
{
    assert(size <= sizeof(out->bytes) - out->size);
    put_bytes(out->bytes + out->size, data, size);
    out->size += size;
}

static inline void
broker_short(struct broker_bytes *out, const char *text)
{
    broker_u8(out, (uint8_t)strlen(text));
    broker_raw(out, text, strlen(text));
}

static inline void
broker_long(struct broker_bytes *out, const char *text)
{
    broker_u32(out, (uint32_t)strlen(text));
    broker_raw(out, text, strlen(text));
}

static inline void
broker_begin(struct broker_bytes *out, uint8_t type, uint16_t channel)
{
    out->frame_at = out->size;
    broker_u8(out, type);
    broker_u16(out, channel);
    broker_u32(out, 0);
}

static inline void
broker_method(struct broker_bytes *out, uint16_t channel, uint32_t method)
{
    broker_begin(out, 1, channel);
    broker_u32(out, method);
}

static inline void
broker_end(struct broker_bytes *out)
{
    put_u32(out->bytes + out->frame_at + 3, (uint32_t)(out->size - out->frame_at - 7));
    broker_u8(out, 0xCE);
}

static inline void
broker_start(struct broker_bytes *out, const char *mechanisms)
{
    broker_method(out, 0, AMQP_CONNECTION_START_METHOD);
    broker_u8(out, 0);
    broker_u8(out, 9);
    broker_u32(out, 0);
    broker_long(out, mechanisms);
    broker_long(out, "en_US");
    broker_end(out);
}

static inline void
broker_tune(struct broker_bytes *out, uint32_t frame_max, uint16_t heartbeat_s)
{
    broker_method(out, 0, AMQP_CONNECTION_TUNE_METHOD);
    broker_u16(out, 2047);
    broker_u32(out, frame_max);
    broker_u16(out, heartbeat_s);
    broker_end(out);
}

/* open-ok, close-ok and others whose argument is one short string, or none */
static inline void
broker_simple(struct broker_bytes *out, uint16_t channel, uint32_t method, const char *text)
{
    broker_method(out, channel, method);
    if (text != NULL) {
        broker_short(out, text);
    }
    broker_end(out);
}

static inline void
broker_handshake(struct broker_bytes *out, uint32_t frame_max, uint16_t heartbeat_s)
{
    broker_start(out, "AMQPLAIN PLAIN");
    broker_tune(out, frame_max, heartbeat_s);
    broker_simple(out, 0, AMQP_CONNECTION_OPEN_OK_METHOD, "");
}

static inline void
broker_close(struct broker_bytes *out, uint16_t channel, uint16_t code, const char *text)
{
    broker_method(out, channel,
                  channel == 0 ? AMQP_CONNECTION_CLOSE_METHOD : AMQP_CHANNEL_CLOSE_METHOD);
    broker_u16(out, code);
    broker_short(out, text);
    broker_u16(out, 0);
    broker_u16(out, 0);
    broker_end(out);
}

static inline void
broker_channel_opened(struct broker_bytes *out, uint16_t channel, bool confirms)
{
    broker_method(out, channel, AMQP_CHANNEL_OPEN_OK_METHOD);
    broker_u32(out, 0);
    broker_end(out);
    if (confirms) {
        broker_simple(out, channel, AMQP_CONFIRM_SELECT_OK_METHOD, NULL);
    }
}

static inline void
broker_confirm(struct broker_bytes *out, uint16_t channel, uint32_t method, uint64_t tag,
               bool multiple)
{
    broker_method(out, channel, method);
    broker_u64(out, tag);
    broker_u8(out, multiple ? 1 : 0);
    broker_end(out);
}

static inline void
broker_returned(struct broker_bytes *out, uint16_t channel, const char *routing_key)
{
    broker_method(out, channel, AMQP_BASIC_RETURN_METHOD);
    broker_u16(out, 312);
    broker_short(out, "NO_ROUTE");
    broker_short(out, "orders");
    broker_short(out, routing_key);
    broker_end(out);
}

static inline void
broker_delivery(struct broker_bytes *out, uint16_t channel, uint64_t tag)
{
    broker_method(out, channel, AMQP_BASIC_DELIVER_METHOD);
    broker_short(out, "consumer");
    broker_u64(out, tag);
    broker_u8(out, 1);
    broker_short(out, "orders");
    broker_short(out, "key");
    broker_end(out);
}

/* A content header with every property. */
static inline void
broker_header(struct broker_bytes *out, uint16_t channel, uint64_t body_size)
{
    broker_begin(out, 2, channel);
    broker_u16(out, AMQP_BASIC_CLASS);
    broker_u16(out, 0);
    broker_u64(out, body_size);
    broker_u16(out, 0xfffc);
    broker_short(out, "text/plain");
    broker_short(out, "gzip");
    broker_u32(out, 4);
    broker_raw(out, "\x01n\x74\x01", 4); /* n: true */
    broker_u8(out, 2);
    broker_u8(out, 5);
    broker_short(out, "correlation");
    broker_short(out, "reply");
    broker_short(out, "60000");
    broker_short(out, "message-1");
    broker_u64(out, 1700000000);
    broker_short(out, "order.paid");
    broker_short(out, "guest");
    broker_short(out, "shop");
    broker_short(out, "cluster");
    broker_end(out);
}

static inline void
broker_body(struct broker_bytes *out, uint16_t channel, const void *data, size_t size)
{
    broker_begin(out, 3, channel);
    broker_raw(out, data, size);
    broker_end(out);
}

#endif
