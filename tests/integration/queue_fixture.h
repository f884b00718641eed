/* tests/integration/queue_fixture.h - a queue of the test's own on the test broker, used
 * synchronously. Whatever goes wrong prints why and aborts; nothing waits longer than 30 s. The
 * broker is named by OUTBOX_TEST_AMQP_URI. */
#ifndef TESTS_INTEGRATION_QUEUE_FIXTURE_H
#define TESTS_INTEGRATION_QUEUE_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

/* OUTBOX_TEST_AMQP_URI. */
const char *queue_fixture_uri(void);

/* Connects and declares a quorum queue, and a second one that takes what the first dead-letters.
 * One at a time in a process; the names hold the process id, so processes do not meet. */
void queue_fixture_create(void);
void queue_fixture_delete(void); /* both queues, and the connection */

const char *queue_fixture_name(void);

/* Publishes to the queue and waits for the confirm. id and key may be NULL: without. */
void queue_fixture_publish(const char *id, const char *key, const char *body, size_t body_length);

/* Waits for a message in the dead-letter queue and takes it: its message-id, "" if it has none.
 * Until the next call. */
const char *queue_fixture_take_dead(void);

#endif
