/* tests/integration/scene_fixture.h - what nearly every test of the relay needs: a database with an
 * outbox, a queue, a connection to each. One in a process. */
#ifndef TESTS_INTEGRATION_SCENE_FIXTURE_H
#define TESTS_INTEGRATION_SCENE_FIXTURE_H

#include <libpq-fe.h>

#include "tests/integration/broker_fixture.h"
#include "tests/integration/relay_fixture.h"

struct scene {
    PGconn *conn;
    struct broker *broker;
    const char *queue;   /* the default exchange's routing key as well */
    struct relay *relay; /* the test's to start; ended by scene_close */
};

extern struct scene scene;

void scene_open(void);
void scene_close(void);

/* New connections to both, after their servers were away. */
void scene_reconnect(void);

/* scene.relay, with more of its source's configuration (NULL: none), working the outbox. */
void scene_start_relay(const char *source);

/* Formats a statement and runs it. */
void scene_exec(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
