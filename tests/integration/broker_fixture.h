/* tests/integration/broker_fixture.h - the test's own synchronous connections to the broker: one to create queues and
 * exchanges and to count messages, and one for each queue that is consumed. Any failure fails the test
 * (relay_fixture.h). Names contain the process id, so tests do not collide. Any thread; one thread at a time for each
 * object. */
#ifndef TESTS_INTEGRATION_BROKER_FIXTURE_H
#define TESTS_INTEGRATION_BROKER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "amqp/connection.h"

struct broker;

/* uri NULL: OUTBOX_TEST_AMQP_URI. Retries while the broker does not answer. */
struct broker *broker_open(const char *uri);
void broker_close(struct broker *broker); /* leaves the queues; takes NULL */

/* The name "test-PID-WORD". A new string, which the fixture never frees. */
const char *broker_name(const char *word);

void broker_declare_queue(struct broker *broker, const char *queue); /* durable, quorum */
/* A classic queue that refuses more than this number of messages. */
void broker_declare_small_queue(struct broker *broker, const char *queue, unsigned messages);
void broker_delete_queue(struct broker *broker, const char *queue);
void broker_declare_exchange(struct broker *broker, const char *exchange, const char *type);
void broker_delete_exchange(struct broker *broker, const char *exchange);
void broker_bind(struct broker *broker, const char *queue, const char *exchange,
                 const char *routing_key);
void broker_unbind(struct broker *broker, const char *queue, const char *exchange,
                   const char *routing_key);

/* A queue of this connection alone, which ends with it. */
void broker_take_queue(struct broker *broker, const char *queue);
/* Whether another connection has such a queue. */
bool broker_is_taken(struct broker *broker, const char *queue);

/* Messages ready in the queue. The count of a quorum queue may be some milliseconds old. */
uint32_t broker_count(struct broker *broker, const char *queue);

/* A received message. The spans, and the text of message_id, are valid until the next call. */
struct delivery {
    struct rabbit_message message;
    bool redelivered;
    char message_id[64];
    char body[128]; /* the beginning of the body, as text */
};

struct consumer;

/* Consumes the queue from now on; messages that were taken are acknowledged. */
struct consumer *consumer_open(const char *uri, const char *queue);
void consumer_close(struct consumer *consumer); /* takes NULL */

/* The next message; fails the test if there is none within PATIENCE_S. */
void consumer_take(struct consumer *consumer, struct delivery *ret_delivery);

/* False if none comes within wait_us. */
bool consumer_take_within(struct consumer *consumer, uint64_t wait_us,
                          struct delivery *ret_delivery);

/* Refuses the last taken message instead of acknowledging it, with or without requeue. */
void consumer_refuse(struct consumer *consumer, bool requeue);
/* Closes; the last taken message goes back to the queue. */
void consumer_leave(struct consumer *consumer);

/* Takes a message and checks that its body is this text. */
void consumer_expect(struct consumer *consumer, const char *body);

#endif
