/* tests/integration/redis_fixture.h - a Redis server of the test's own, on a Unix socket, for tests that take its data or
 * its life. Whatever goes wrong here prints why and aborts. */
#ifndef TESTS_INTEGRATION_REDIS_FIXTURE_H
#define TESTS_INTEGRATION_REDIS_FIXTURE_H

/* Starts redis-server and waits until it answers. Data is kept over a restart if `persistent` (appendonly). Returns the
 * path of the socket; static. */
const char *redis_fixture_start(int persistent);

/* SIGTERM, and start again. */
void redis_fixture_restart(void);

/* SIGKILL; redis_fixture_start begins anew. */
void redis_fixture_stop(void);

/* SIGSTOP and SIGCONT. */
void redis_fixture_freeze(int frozen);

/* Runs a command, words separated by blanks; aborts if it fails. The integer reply, or the length of a string. */
long long redis_fixture_command(const char *command);

#endif
