/* tests/integration/servers_fixture.h - private servers, for tests that restart, stop or block them: an instance of
 * tests/services below OUTBOX_TEST_DIR. A guardian process ends it when the process that started it has ended, however
 * that happened. Any failure fails the test. */
#ifndef TESTS_INTEGRATION_SERVERS_FIXTURE_H
#define TESTS_INTEGRATION_SERVERS_FIXTURE_H

#include "base/error.h"

/* services: "postgres rabbitmq". From then on OUTBOX_TEST_* of this process and its children name them; other services
 * keep their names. To be called before there are threads, once in a process. The functions below also work in child
 * processes, so tests can use servers that the hook before all tests has started. */
void servers_start(const char *services);

/* Runs a command of tests/services: "restart rabbitmq", "alarm on". */
void servers_do(const char *command);

/* The same for the server of the test's database (db_fixture.h): "restart". */
void servers_do_database(const char *command);

/* Restarts the server of the test's database with this line added to its configuration file; the line of an earlier call
 * is removed. Or restarts it with no such line. All connections end. */
void servers_restart_with(const char *line);
void servers_restart_without(void);

/* The same for a second instance inside the first, which ends with it. */
void servers_do_second(const char *command);

/* Where the instance has its data, ports and logs; the second one is in its directory "second". */
const char *servers_directory(void);

/* Runs a line of shell; it must succeed. */
void servers_shell(const char *format, ...) PRINTF_LIKE(1, 2);

/* Runs rabbitmqctl for the broker: "add_user shop first". */
void servers_rabbitmqctl(const char *arguments);

/* Ends the servers and waits for their end. */
void servers_stop(void);

#endif
