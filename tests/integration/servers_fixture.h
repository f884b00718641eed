/* tests/integration/servers_fixture.h - servers of the test's own, for tests that restart, stop or
 * block them: an instance of tests/services below OUTBOX_TEST_DIR. A guardian process ends it when
 * the process that started it is gone, however that went. Whatever goes wrong fails the test. */
#ifndef TESTS_INTEGRATION_SERVERS_FIXTURE_H
#define TESTS_INTEGRATION_SERVERS_FIXTURE_H

#include "base/error.h"

/* services: "postgres rabbitmq". From then on, OUTBOX_TEST_* of this process and of those it starts
 * name them; what was not started keeps its name. Before there are threads, once in a process. What
 * is below works in those that this process starts, too: a test may use what the hook before all
 * tests has started. */
void servers_start(const char *services);

/* A command for them: "restart rabbitmq", "alarm on". */
void servers_do(const char *command);

/* The same for a second instance within, which ends with it. */
void servers_do_second(const char *command);

/* Where the own one has its data, ports and logs; the second one is in the directory "second" of it. */
const char *servers_directory(void);

/* A line for the shell; it must succeed. */
void servers_shell(const char *format, ...) PRINTF_LIKE(1, 2);

/* rabbitmqctl of the broker that is used: "add_user shop first". */
void servers_rabbitmqctl(const char *arguments);

/* Ends them and waits until they are gone. */
void servers_stop(void);

#endif
