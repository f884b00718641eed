/* tests/integration/queue_fixture.h - a private queue on the test broker, used synchronously. Any failure prints the
 * reason and aborts; no wait takes longer than 30 s. The broker is named by OUTBOX_TEST_AMQP_URI. */
#ifndef TESTS_INTEGRATION_QUEUE_FIXTURE_H
#define TESTS_INTEGRATION_QUEUE_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* OUTBOX_TEST_AMQP_URI. */
const char *queue_fixture_uri(void);

/* Connects and declares a quorum queue, and a second queue for its dead letters. One at a time in a process; the names
 * contain the process id, so processes do not collide. */
void queue_fixture_create(void);
/* The same with another main queue. */
struct queue_fixture_kind {
    const char *type;   /* quorum, classic */
    int delivery_limit; /* 0: none */
    bool single_active; /* x-single-active-consumer */
};
void queue_fixture_create_kind(const struct queue_fixture_kind *kind);
void queue_fixture_delete(void); /* both queues, and the connection */

const char *queue_fixture_name(void);

/* Publishes to the queue and waits for the confirm. id and key may be NULL. */
void queue_fixture_publish(const char *id, const char *key, const char *body, size_t body_length);

/* Publishes `count` messages whose ids and keys `name_one` gives, and waits for all confirms. Bodies are "x". */
void queue_fixture_publish_many(int count,
                                void (*name_one)(int index, char ret_id[32], char ret_key[32]));

/* The number of messages in the dead-letter queue. */
uint32_t queue_fixture_count_dead(void);

/* Waits for a message in the dead-letter queue and takes it. Returns its message-id, "" if it has none; valid until the
 * next call. */
const char *queue_fixture_take_dead(void);

#endif
