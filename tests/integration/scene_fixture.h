/* tests/integration/scene_fixture.h - what nearly every test of the relay needs: a database with an
 * outbox, a queue, a connection to each. One in a process. */
#ifndef TESTS_INTEGRATION_SCENE_FIXTURE_H
#define TESTS_INTEGRATION_SCENE_FIXTURE_H

#include "tests/integration/broker_fixture.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/relay_fixture.h"

struct scene {
    struct db *db;
    struct broker *broker;
    const char *queue;    /* the default exchange's routing key as well */
    const char *exchange; /* NULL, or that of scene_open_route */
    struct relay *relay;  /* the test's to start; ended by scene_close */
};

extern struct scene scene;

void scene_open(void);
void scene_close(void);

/* The same with an outbox that takes what an older one took: what the limits of today keep out may be there from before.
 * The relay polls it, whatever OUTBOX_TEST_MODE says. */
void scene_open_unlimited(void);

/* The same for relays that tail, whatever OUTBOX_TEST_MODE says; or so are all scenes that are opened later. */
void scene_open_tail(void);
void scene_tail(void);

/* The same with a direct exchange, which is the source's from then on. The queue is bound with its own name; with any other
 * routing key a message is unroutable, until that is bound. */
void scene_open_route(void);
void scene_add_route(void); /* to a scene that is open */
void scene_bind(const char *routing_key);

/* The same on a database server of the test's own, which ends with it; and one that takes rows of hundreds of megabytes. */
void scene_open_own(void);
void scene_open_large(void);
void scene_close_own(void);

/* New connections to both, after their servers were away. */
void scene_reconnect(void);

/* scene.relay, with more of its source's configuration (NULL: none), working the outbox; if it tails and the outbox is
 * empty, it reads the log already. Refused messages are tried again
 * after a tenth of a second, up to half a second; the second one tries them again after an hour. */
void scene_start_relay(const char *source);
void scene_start_patient_relay(const char *source);

/* It must end well, and must not have missed rows at its regular look or in the log. */
void scene_drain_relay(void);

/* Waits for the next line of scene.relay's log that says that it reads the database's. */
void scene_await_tailing(void);

/* A message that is written now goes now, whether by the log or by the table. */
void scene_expect_no_pause(void);

/* Formats a statement and runs it. */
void scene_exec(const char *format, ...) PRINTF_LIKE(1, 2);

/* The number that a query gives: its first column, its first row. */
int64_t scene_count(const char *format, ...) PRINTF_LIKE(1, 2);

/* Waits until a query says true; fails the test, naming `what`, when it does not within PATIENCE_S. */
void scene_await(const char *what, const char *format, ...) PRINTF_LIKE(2, 3);

/* What an operator does to the held messages for which the condition holds, as `outbox-relay held` does it: one
 * transaction, and a row that tells the relay. Fails the test if there is none. Retry: they are due now, dead ones begin
 * anew. Discard: they are deleted; what waits behind them goes on. */
void operator_retry(const char *condition);
void operator_discard(const char *condition);

#endif
