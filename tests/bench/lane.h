/* tests/bench/lane.h - a bare loop's connection to the broker: a channel, and which messages are confirmed. */
#ifndef LANE_H
#define LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "amqp/session.h"
#include "relay/rabbit/publisher.h"

#define LANE_WINDOW 8192 /* unconfirmed messages; a batch is begun below this number */

struct lane {
    struct session *session;
    struct publisher publisher;
    int64_t messages;
    int64_t *ids; /* of all published messages, in their order */
    bool *acked;
    int64_t published;
    int64_t confirmed; /* all before this index */
};

void lane_open(struct lane *lane, int64_t messages);
void lane_close(struct lane *lane);

/* Encodes and queues a message, as the relay does. */
void lane_publish(struct lane *lane, const struct row *row);

/* True if more may be published. */
bool lane_has_room(const struct lane *lane);

/* Handles what the broker has sent; `revents`: what poll(2) gave for the session's descriptor. */
void lane_process(struct lane *lane, short revents);

#endif
