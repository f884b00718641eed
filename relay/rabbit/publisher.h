/* relay/rabbit/publisher.h - from an outbox row to a message: its exchange, properties and headers. What makes a
 * message safe is not optional: it is always persistent and mandatory, and has its id. */
#ifndef RELAY_RABBIT_PUBLISHER_H
#define RELAY_RABBIT_PUBLISHER_H

#include "amqp/connection.h"
#include "relay/ports/row.h"

struct publisher {
    const char *source; /* the source's name */
    struct buffer headers;
};

/* Borrows the text until publisher_done. */
void publisher_init(struct publisher *publisher, const char *source);
void publisher_done(struct publisher *publisher);

/* Queues the row on the channel. False, and nothing queued, with ERROR_MESSAGE if this row can never be a message, with
 * ERROR_TRANSIENT if the connection has no room for it now. */
bool publisher_publish(struct publisher *publisher, struct rabbit *rabbit, uint16_t channel,
                       const struct row *row, struct error *reterr) MUST_CHECK;

/* The row's id in a message that the broker returned; false if the message is not ours. */
bool publisher_returned_id(const struct rabbit_message *message, int64_t *ret_id);

/* The exchange that is blamed by the text with which the broker closed a channel: it is missing, or this user may not
 * use it. False if none is blamed. The span points into the text. */
bool publisher_blamed_exchange(const char *words, struct span *ret_exchange);

#endif
