/* amqp/content.h - a message on its way in: basic.deliver or basic.return, a content header, body
 * frames until the promised size is there. Memory grows with the bytes that have arrived, not with the size that was
 * announced; an announced size over CONTENT_BODY_MAX is refused. */
#ifndef AMQP_CONTENT_H
#define AMQP_CONTENT_H

#include "amqp/connection.h"

/* RabbitMQ's own hard limit on max_message_size (rabbit.hrl: MAX_MSG_SIZE, 512 MiB). */
#define CONTENT_BODY_MAX (UINT64_C(512) << 20)

enum content_result { CONTENT_MORE, CONTENT_DONE, CONTENT_BAD };

struct content {
    uint32_t method; /* 0: none on its way */
    bool header_seen;
    size_t arguments_size;
    size_t header_size;
    uint64_t body_size;
    struct buffer bytes; /* the method's arguments, the header frame's payload, the body */
};

void content_init(struct content *content);
void content_done(struct content *content);

/* Forgets what was on its way and gives back the memory of a large message. */
void content_reset(struct content *content);

enum content_result content_begin(struct content *content, uint32_t method, struct span arguments);
enum content_result content_add_header(struct content *content, struct span payload);
enum content_result content_add_body(struct content *content, struct span payload);

/* Fills the fields of a RABBIT_RETURNED or RABBIT_DELIVERED event from a content that is done; the
 * spans point into it until content_reset. False if the bytes are malformed. */
bool content_event(const struct content *content, struct rabbit_event *ret_event) MUST_CHECK;

#endif
