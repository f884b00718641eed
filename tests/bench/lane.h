/* tests/bench/lane.h - what a bare loop knows of the broker: a channel, and which messages are confirmed. */
#ifndef LANE_H
#define LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "amqp/session.h"
#include "relay/rabbit/publisher.h"

#define LANE_WINDOW 8192 /* messages on the way; a batch is begun below that */

struct lane {
    struct session *session;
    struct publisher publisher;
    int64_t messages;
    int64_t *ids; /* of all that were published, in that order */
    bool *acked;
    int64_t published;
    int64_t confirmed; /* all up to here */
};

void lane_open(struct lane *lane, int64_t messages);
void lane_close(struct lane *lane);

/* Encodes and queues it, as the relay does. */
void lane_publish(struct lane *lane, const struct row *row);

/* Whether more may be on the way than is. */
bool lane_has_room(const struct lane *lane);

/* Takes what the broker has sent: poll(2) said `revents` of the session's descriptor. */
void lane_process(struct lane *lane, short revents);

#endif
