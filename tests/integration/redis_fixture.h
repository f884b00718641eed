/* tests/integration/redis_fixture.h - a private Redis server on a Unix socket, for tests that delete its data or end
 * it. Any failure here prints the reason and aborts. */
#ifndef TESTS_INTEGRATION_REDIS_FIXTURE_H
#define TESTS_INTEGRATION_REDIS_FIXTURE_H

/* Starts redis-server and waits until it answers. With `persistent` (appendonly) its data survives a restart. Returns
 * the path of the socket; static. */
const char *redis_fixture_start(int persistent);

/* SIGTERM, and start again. */
void redis_fixture_restart(void);

/* SIGKILL; then redis_fixture_start may start another. */
void redis_fixture_stop(void);

/* SIGSTOP and SIGCONT. */
void redis_fixture_freeze(int frozen);

/* Runs a command, with blanks between its words; aborts if it fails. Returns the integer reply, or the length of a
 * string. */
long long redis_fixture_command(const char *command);

#endif
