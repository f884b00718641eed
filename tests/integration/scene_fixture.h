/* tests/integration/scene_fixture.h - what nearly every test of the relay needs: a database with an outbox, a queue,
 * and a connection to each. One in a process. */
#ifndef TESTS_INTEGRATION_SCENE_FIXTURE_H
#define TESTS_INTEGRATION_SCENE_FIXTURE_H

#include "tests/integration/broker_fixture.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/relay_fixture.h"

struct scene {
    struct db *db;
    struct broker *broker;
    const char *queue;    /* the default exchange's routing key as well */
    const char *exchange; /* NULL, or the exchange of scene_open_route */
    struct relay *relay;  /* started by the test; ended by scene_close */
};

extern struct scene scene;

void scene_open(void);
void scene_close(void);

/* The same with an outbox without the present limits, which may have rows from before these existed. The relay polls
 * it, whatever OUTBOX_TEST_MODE says. */
void scene_open_unlimited(void);

/* The same for relays that tail, whatever OUTBOX_TEST_MODE says; scene_tail makes all later scenes so. */
void scene_open_tail(void);
void scene_tail(void);

/* The same with a direct exchange, which the source uses. The queue is bound with its own name; with any other routing
 * key a message is unroutable until that is bound. */
void scene_open_route(void);
void scene_add_route(void); /* for an open scene */
void scene_bind(const char *routing_key);

/* The same on the test's own database server, which ends with it; and on one that takes rows of hundreds of
 * megabytes. */
void scene_open_own(void);
void scene_open_large(void);
void scene_close_own(void);

/* Connects to both again, after their servers were away. */
void scene_reconnect(void);

/* Starts scene.relay, with additional configuration of its source (NULL: none), and waits until it works; if it tails
 * and the outbox is empty, until it reads the log. Refused messages are retried after 0.1 to 0.5 s; the second
 * function's relay retries them after an hour. */
void scene_start_relay(const char *source);
void scene_start_patient_relay(const char *source);

/* Ends it; it must exit with status 0, and must not have missed rows in its regular look or in the log. */
void scene_drain_relay(void);

/* Waits for the next line of scene.relay's log which says that it reads the database's log. */
void scene_await_tailing(void);

/* Checks that a message that is written now is published at once, from the log or the table. */
void scene_expect_no_pause(void);

/* Formats a statement and runs it. */
void scene_exec(const char *format, ...) PRINTF_LIKE(1, 2);

/* The number that a query gives: the first column of its first row. */
int64_t scene_count(const char *format, ...) PRINTF_LIKE(1, 2);

/* Waits until a query is true; fails the test, naming `what`, after PATIENCE_S. */
void scene_await(const char *what, const char *format, ...) PRINTF_LIKE(2, 3);

/* Acts on the held messages that match the condition, as `outbox-relay held` does: one transaction, with a row that
 * tells the relay. Fails the test if there is none. Retry: they are due now, and dead ones get all attempts again.
 * Discard: they are deleted, and messages behind them go on. */
void operator_retry(const char *condition);
void operator_discard(const char *condition);

#endif
