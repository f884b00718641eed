/* amqp/connection.h - one AMQP 0-9-1 connection to RabbitMQ, without a socket: bytes in, events
 * out; calls in, bytes out.
 *
 * The owner moves bytes (see amqp/session.h), tells the time, takes events until there are none,
 * and writes out what stands in the output buffer. Nothing here blocks, logs or reads a clock. One
 * thread at a time.
 *
 * rabbitmq-c is used as a codec for what comes in and for rare methods; publishes are encoded by hand (frame.c), because they
 * take most of the time. No type of rabbitmq-c is seen outside of this folder. */
#ifndef AMQP_CONNECTION_H
#define AMQP_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/span.h"

struct rabbit_options {
    const char *vhost;    /* "/" if NULL */
    const char *user;     /* for PLAIN */
    const char *password; /* for PLAIN; copied, wiped after the handshake */
    bool external;        /* SASL EXTERNAL (client certificate) instead of PLAIN */
    /* Asked for; the lower of ours and the broker's non-zero value is used; 0 = off. */
    uint16_t heartbeat_s;
    uint32_t frame_max;          /* asked for; 0 = 131072 */
    const char *connection_name; /* shown in RabbitMQ's management; may be NULL */
    size_t output_max;           /* ceiling of the output buffer in bytes; 0 = 192 MiB */
};

enum rabbit_event_type {
    RABBIT_OPENED,         /* handshake done; channels may be opened */
    RABBIT_CHANNEL_OPENED, /* channel: ready, and in confirm mode if that was asked for */
    RABBIT_CONFIRMED,      /* channel, tag, multiple: basic.ack for a publish */
    RABBIT_NACKED,         /* channel, tag, multiple: basic.nack for a publish */
    /* channel, code, text, message: unroutable; comes before the confirm of the same message. */
    RABBIT_RETURNED,
    /* channel, code, text: closed by the broker; what is unconfirmed on it has an unknown fate. */
    RABBIT_CHANNEL_CLOSED,
    RABBIT_BLOCKED, /* text: the broker takes no publishes (connection.blocked) */
    RABBIT_UNBLOCKED,
    RABBIT_DELIVERED, /* channel, tag, redelivered, message, consumer_tag */
    RABBIT_CONSUMING, /* channel, consumer_tag: basic.consume-ok */
    RABBIT_CANCELLED, /* channel, consumer_tag: the broker or our own cancel ended the consumer */
    /* channel: answer to a declare, bind, delete, purge or qos; see rabbit_declared_count. */
    RABBIT_DONE,
    /* error, code (of the broker's connection.close, 0: it sent none): the connection is over (refused, closed by the broker,
     * heartbeat missed, bytes that make no sense, or our own rabbit_close answered: error.text is then "closed"). Last event. */
    RABBIT_CLOSED,
};

/* A message that is published, returned or delivered. For a publish the spans belong to the owner (they are read before the
 * call returns); in an event they are valid until the next rabbit_next or rabbit_feed. Absent property: size 0, or 0. */
struct rabbit_message {
    struct span exchange;
    struct span routing_key; /* at most 255 bytes, as every short string below */
    struct span message_id;
    struct span type;
    struct span content_type;
    struct span app_id;
    struct span correlation_id;
    struct span reply_to;
    struct span expiration; /* milliseconds, as digits */
    /* An encoded AMQP field table without its length (amqp/table.h writes and reads it). */
    struct span headers;
    uint64_t timestamp_s;  /* seconds since 1970; 0 = absent */
    uint8_t delivery_mode; /* 2 = persistent; 0 = absent */
    bool has_priority;
    uint8_t priority; /* if has_priority */
    bool mandatory;   /* publish only */
    struct span body;
};

struct rabbit_event {
    enum rabbit_event_type type;
    uint16_t channel;
    uint64_t tag;
    bool multiple;
    bool redelivered;
    uint16_t code;    /* AMQP reply code */
    struct span text; /* reply text, reason */
    struct span consumer_tag;
    struct rabbit_message message;
    struct error error; /* RABBIT_CLOSED */
};

/* True for codes of connection.close that blame what we sent, or say that it made the broker fail: RabbitMQ does so
 * when a channel crashes on a message (541). Others (320 when it shuts down) are an outage. */
bool rabbit_is_mistake(uint16_t code);

struct rabbit;

/* NULL only when memory is out. Options are copied. */
struct rabbit *rabbit_new(const struct rabbit_options *options);
void rabbit_free(struct rabbit *rabbit);

/* Begins the handshake; once per object. A new connection is a new object. */
void rabbit_start(struct rabbit *rabbit, uint64_t now_us);

/* Bytes that arrived. Takes all of them (it buffers what it cannot use yet); events become
 * available. */
void rabbit_feed(struct rabbit *rabbit, const void *data, size_t size, uint64_t now_us);

/* The next event, or false. */
bool rabbit_next(struct rabbit *rabbit, struct rabbit_event *ret_event);

/* The time passes: sends heartbeats when due, ends the connection (RABBIT_CLOSED) when the broker's
 * were missed for two intervals or when the handshake takes over 30 s. */
void rabbit_tick(struct rabbit *rabbit, uint64_t now_us);

/* When rabbit_tick has something to do next; CLOCK_NEVER_US if never. */
uint64_t rabbit_deadline_us(const struct rabbit *rabbit);

/* What is to be written to the peer; the owner writes from the front and calls rabbit_written. */
const struct buffer *rabbit_output(const struct rabbit *rabbit);
void rabbit_written(struct rabbit *rabbit, size_t size, uint64_t now_us);

bool rabbit_is_open(const struct rabbit *rabbit);
uint32_t rabbit_frame_max(const struct rabbit *rabbit);
uint16_t rabbit_heartbeat_s(const struct rabbit *rabbit);

/* Calls. Each only queues bytes; the answer is an event. Calling one on a connection or channel
 * that is not open is a mistake of the caller (asserted), except that all are ignored once
 * RABBIT_CLOSED is queued but not yet taken. Channels are numbered 1 to RABBIT_CHANNEL_MAX. */
#define RABBIT_CHANNEL_MAX 16
void rabbit_channel_open(struct rabbit *rabbit, uint16_t channel, bool confirms);

/* RABBIT_CHANNEL_CLOSED with code 200 follows; anything else that still arrives on the channel is dropped. Messages that were
 * delivered on it and not acknowledged go back to their queue. */
void rabbit_channel_close(struct rabbit *rabbit, uint16_t channel);

/* Encodes one message with frames of at most frame_max. False (nothing queued) with ERROR_MESSAGE
 * if it can never be sent (a short string over 255 bytes, headers over frame_max), ERROR_TRANSIENT
 * if the output buffer is full. In confirm mode the n-th successful publish on a channel since it
 * opened has tag n. */
bool rabbit_publish(struct rabbit *rabbit, uint16_t channel, const struct rabbit_message *message,
                    struct error *reterr) MUST_CHECK;

void rabbit_exchange_check(struct rabbit *rabbit, uint16_t channel,
                           const char *exchange); /* passive declare */
void rabbit_exchange_declare(struct rabbit *rabbit, uint16_t channel, const char *exchange,
                             const char *type, bool durable);
void rabbit_exchange_delete(struct rabbit *rabbit, uint16_t channel, const char *exchange);
/* arguments: an encoded field table (amqp/table.h), e.g. x-queue-type; may be empty. */
void rabbit_queue_declare(struct rabbit *rabbit, uint16_t channel, const char *queue, bool durable,
                          struct span arguments);
/* Not durable, for this connection alone, with which it ends. The broker closes the channel with code 405 if another one has
 * it. */
void rabbit_queue_declare_exclusive(struct rabbit *rabbit, uint16_t channel, const char *queue);
void rabbit_queue_check(struct rabbit *rabbit, uint16_t channel,
                        const char *queue); /* passive declare */
void rabbit_queue_bind(struct rabbit *rabbit, uint16_t channel, const char *queue,
                       const char *exchange, const char *routing_key);
void rabbit_queue_unbind(struct rabbit *rabbit, uint16_t channel, const char *queue,
                         const char *exchange, const char *routing_key);
void rabbit_queue_purge(struct rabbit *rabbit, uint16_t channel, const char *queue);
void rabbit_queue_delete(struct rabbit *rabbit, uint16_t channel, const char *queue);
/* Messages in the queue, as the last RABBIT_DONE for a queue declare, purge or delete said. */
uint32_t rabbit_declared_count(const struct rabbit *rabbit);

void rabbit_qos(struct rabbit *rabbit, uint16_t channel, uint16_t prefetch);
void rabbit_consume(struct rabbit *rabbit, uint16_t channel, const char *queue,
                    const char *consumer_tag);
/* With consumer priority x-priority: where consumers wait for their turn (x-single-active-consumer), the one with the highest
 * priority is next. */
void rabbit_consume_before(struct rabbit *rabbit, uint16_t channel, const char *queue,
                           const char *consumer_tag, int32_t priority);
void rabbit_cancel(struct rabbit *rabbit, uint16_t channel, const char *consumer_tag);
void rabbit_ack(struct rabbit *rabbit, uint16_t channel, uint64_t tag, bool multiple);
void rabbit_nack(struct rabbit *rabbit, uint16_t channel, uint64_t tag, bool multiple,
                 bool requeue);

/* Polite end: connection.close; RABBIT_CLOSED follows when the broker answers. */
void rabbit_close(struct rabbit *rabbit);

#endif
