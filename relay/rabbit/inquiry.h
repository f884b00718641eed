/* relay/rabbit/inquiry.h - a connection to a broker for questions, one after the other: each call waits for its answer.
 * Foreground, or a thread of its own; one thread at a time. */
#ifndef RELAY_RABBIT_INQUIRY_H
#define RELAY_RABBIT_INQUIRY_H

#include <stdbool.h>
#include <stdint.h>

#include "amqp/session.h"
#include "base/error.h"
#include "relay/config/config.h"

struct inquiry {
    struct session *session;
    int stop_fd;          /* readable: the wait ends; -1: none */
    uint64_t deadline_us; /* of all of it, hosts that do not answer included */
    uint16_t channel;     /* open if not 0 */
    struct error error;   /* why it is over */
    bool over;            /* nothing more can be asked; the session may still be named in words */
};

/* What the broker said to a question. */
struct inquiry_answer {
    bool done;
    uint16_t code; /* of a refusal: AMQP's reply code */
    char text[300];
};

/* Connects. False with self->error, and without a session if it came not so far; inquiry_close in any case. */
bool inquiry_open(struct inquiry *self, const struct broker_config *broker, const char *name,
                  int stop_fd) MUST_CHECK;
void inquiry_close(struct inquiry *self);

/* A channel to ask on: a broker that refuses something closes it, and the next call opens another. NULL with self->error when
 * the connection is over. */
struct rabbit *inquiry_channel(struct inquiry *self, uint16_t *ret_channel) MUST_CHECK;

/* The answer to what was just asked on that channel. False with self->error when the connection is over. */
bool inquiry_answer(struct inquiry *self, struct inquiry_answer *ret_answer) MUST_CHECK;

#endif
