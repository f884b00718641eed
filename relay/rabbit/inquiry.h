/* relay/rabbit/inquiry.h - a connection to a broker for questions, one after the other: each call waits for its answer.
 * For the foreground, or for a separate thread; one thread at a time. */
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
    uint64_t deadline_us; /* for all questions, and for hosts that do not answer */
    uint16_t channel;     /* open if not 0 */
    struct error error;   /* why the connection is over */
    /* No more questions are possible; the session can still be named in messages. */
    bool over;
};

/* The broker's answer to a question. */
struct inquiry_answer {
    bool done;
    uint16_t code; /* AMQP's reply code of a refusal */
    char text[300];
};

/* Connects. False with self->error; the session may then be NULL. Call inquiry_close in any case. */
bool inquiry_open(struct inquiry *self, const struct broker_config *broker, const char *name,
                  int stop_fd) MUST_CHECK;
void inquiry_close(struct inquiry *self);

/* A channel for questions: the broker closes it when it refuses something, and the next call opens another. NULL with
 * self->error when the connection is over. */
struct rabbit *inquiry_channel(struct inquiry *self, uint16_t *ret_channel) MUST_CHECK;

/* Waits for the answer to the question just sent on that channel. False with self->error when the connection is over. */
bool inquiry_answer(struct inquiry *self, struct inquiry_answer *ret_answer) MUST_CHECK;

#endif
