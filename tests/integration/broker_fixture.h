/* tests/integration/broker_fixture.h - the test's own look at the broker, synchronous: one
 * connection to make queues and exchanges and to count, one for each queue that is consumed. Whatever
 * goes wrong fails the test (relay_fixture.h). Names made here hold the process id, so tests do not
 * meet. Any thread; an object is one thread's at a time. */
#ifndef TESTS_INTEGRATION_BROKER_FIXTURE_H
#define TESTS_INTEGRATION_BROKER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "amqp/connection.h"

struct broker;

/* uri NULL: OUTBOX_TEST_AMQP_URI. Tries again while the broker does not answer. */
struct broker *broker_open(const char *uri);
void broker_close(struct broker *broker); /* queues stay; takes NULL */

/* A name of the test's own: "test-PID-WORD". A new string of the fixture, never freed. */
const char *broker_name(const char *word);

void broker_declare_queue(struct broker *broker, const char *queue); /* durable, quorum */
/* Classic; with so many messages in it, it refuses more. */
void broker_declare_small_queue(struct broker *broker, const char *queue, unsigned messages);
void broker_delete_queue(struct broker *broker, const char *queue);
void broker_declare_exchange(struct broker *broker, const char *exchange, const char *type);
void broker_delete_exchange(struct broker *broker, const char *exchange);
void broker_bind(struct broker *broker, const char *queue, const char *exchange,
                 const char *routing_key);
void broker_unbind(struct broker *broker, const char *queue, const char *exchange,
                   const char *routing_key);

/* Messages ready in the queue. A quorum queue's own count may be some milliseconds old. */
uint32_t broker_count(struct broker *broker, const char *queue);

/* A message as it came. The spans, and the text of message_id, live until the next call. */
struct delivery {
    struct rabbit_message message;
    bool redelivered;
    char message_id[64];
    char body[128]; /* its beginning, as text */
};

struct consumer;

/* Consumes the queue from now on; what is taken is acknowledged. */
struct consumer *consumer_open(const char *uri, const char *queue);
void consumer_close(struct consumer *consumer); /* takes NULL */

/* The next message; fails the test if there is none within PATIENCE_S. */
void consumer_take(struct consumer *consumer, struct delivery *ret_delivery);

/* False if there is none within that time. */
bool consumer_take_within(struct consumer *consumer, uint64_t wait_us,
                          struct delivery *ret_delivery);

/* The one that was taken last is not acknowledged but refused, and goes back to its queue or not. */
void consumer_refuse(struct consumer *consumer, bool requeue);
/* Closes, and what was taken last goes back. */
void consumer_leave(struct consumer *consumer);

/* Takes one and checks that its body is this text. */
void consumer_expect(struct consumer *consumer, const char *body);

#endif
