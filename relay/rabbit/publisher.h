/* relay/rabbit/publisher.h - from an outbox row to a message of the broker: which exchange, which properties, which
 * headers. What makes a message safe is not an option: persistent, mandatory, with its id, always. */
#ifndef RELAY_RABBIT_PUBLISHER_H
#define RELAY_RABBIT_PUBLISHER_H

#include "amqp/connection.h"
#include "relay/ports/row.h"

struct publisher {
    const char *source; /* the source's name */
    struct buffer headers;
};

/* Borrows the text for its life. */
void publisher_init(struct publisher *publisher, const char *source);
void publisher_done(struct publisher *publisher);

/* Queues the row on the channel. False, and nothing queued, with ERROR_MESSAGE if this row can never be a message, with
 * ERROR_TRANSIENT if the connection has no room for it now. */
bool publisher_publish(struct publisher *publisher, struct rabbit *rabbit, uint16_t channel,
                       const struct row *row, struct error *reterr) MUST_CHECK;

/* The row's id out of a message that the broker returned; false if it is none of ours. */
bool publisher_returned_id(const struct rabbit_message *message, int64_t *ret_id);

/* The exchange that the words blame with which the broker closed a channel: missing, or not allowed to this user. False if
 * they blame none. The span points into the words. */
bool publisher_blamed_exchange(const char *words, struct span *ret_exchange);

#endif
