/* amqp/connection_private.h - the inside of struct rabbit, shared by connection.c (bytes, time,
 * events), handshake.c, dispatch.c (what the broker says) and calls.c (what we say). Nobody else
 * includes this. */
#ifndef AMQP_CONNECTION_PRIVATE_H
#define AMQP_CONNECTION_PRIVATE_H

#include "amqp/codec.h"
#include "amqp/connection.h"
#include "amqp/content.h"
#include "amqp/frame.h"

/* An owner that feeds more than this and never takes events is stopped. */
#define RABBIT_INPUT_MAX ((size_t)512 << 20)

/* In order: a later state has seen the earlier ones. */
enum connection_state {
    CONNECTION_NEW,
    CONNECTION_WAIT_START,
    CONNECTION_WAIT_TUNE,
    CONNECTION_WAIT_OPEN_OK,
    CONNECTION_OPEN,
    CONNECTION_CLOSING, /* our connection.close is out */
    CONNECTION_CLOSED,
};

enum channel_state {
    CHANNEL_CLOSED,
    CHANNEL_OPENING,
    CHANNEL_SELECTING, /* confirm.select is out */
    CHANNEL_OPEN,
    CHANNEL_CLOSING, /* our channel.close is out: what still arrives is dropped */
};

struct channel {
    enum channel_state state;
    bool confirms;
    unsigned pending;   /* calls that wait for their answer */
    uint64_t published; /* since it opened: the highest tag there can be */
    uint64_t delivered; /* likewise: the tag of the last delivery */
    struct content content;
};

struct rabbit {
    enum connection_state state;
    char *vhost;
    char *user;
    char *password; /* NULL once the handshake is done */
    char *name;
    bool external;
    uint16_t heartbeat_s; /* asked for, then agreed */
    uint32_t frame_max;   /* asked for, then agreed */
    size_t output_max;
    struct codec *codec;
    struct buffer input;
    size_t taken;           /* of the input's front: the frame that the last event points into */
    struct content *handed; /* the content that the last event points into */
    struct buffer output;
    struct channel channels[RABBIT_CHANNEL_MAX + 1];
    uint32_t declared_count;
    uint64_t fed_us;            /* bytes arrived last */
    uint64_t heartbeat_send_us; /* a heartbeat is due unless something is written before */
    uint64_t give_up_us;        /* the handshake, or the answer to our close, must be there */
    uint64_t now_us;            /* the latest time we were told */
    struct error error;         /* why it is CLOSED */
    uint16_t close_code;        /* that the broker gave for it; 0: none */
    bool closed_taken;
};

/* A heartbeat came. */
void connection_heartbeat(struct rabbit *rabbit);
/* Ends the connection: the error becomes the RABBIT_CLOSED event. The first reason stays. */
void connection_fail(struct rabbit *rabbit, enum error_class class, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Queues a method; fails the connection if it cannot. */
#define METHOD_ROOM 2048u /* four short strings and a few numbers, with room to spare */
void connection_send(struct rabbit *rabbit, uint16_t channel, uint32_t method, const void *decoded);

/* Decodes arguments with rabbitmq-c; fails the connection and returns NULL if they are malformed.
 */
const void *connection_decode(struct rabbit *rabbit, uint32_t method, struct span arguments);

void channel_reset(struct channel *channel);

/* A method on channel 0. True if it made an event. */
bool handshake_method(struct rabbit *rabbit, uint32_t method, struct span arguments,
                      struct rabbit_event *event);

/* Whatever frame of an open connection. True if it made an event. */
bool dispatch_frame(struct rabbit *rabbit, const struct frame *frame, struct rabbit_event *event);

/* Bytes that were fed and not yet taken as events. */
size_t rabbit_unread_bytes(const struct rabbit *rabbit);

#endif
