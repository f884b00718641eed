/* tests/integration/cli_fixture.h - runs the built outbox-relay in a directory of the test's own and keeps what it said.
 * Whatever goes wrong here fails the test. */
#ifndef TESTS_INTEGRATION_CLI_FIXTURE_H
#define TESTS_INTEGRATION_CLI_FIXTURE_H

#include <sys/types.h>

#include "base/error.h"

/* Makes the directory and enters it; leaves and removes it. */
void cli_enter(void);
void cli_leave(void);

/* A file in the directory. */
void cli_write(const char *path, const char *format, ...) PRINTF_LIKE(2, 3);

/* Runs `outbox-relay arguments`, arguments split at blanks, to its end; returns the exit status. */
int cli(const char *arguments);

/* What the last cli() wrote. */
const char *cli_stdout(void);
const char *cli_stderr(void);

/* The same on a terminal of `columns` columns, where `answer` is typed once it asks ("[y/N]"). cli_stdout() has all that
 * the terminal showed. */
int cli_on_terminal(const char *arguments, unsigned short columns, const char *answer);

/* Starts it, with stderr into the file "log"; and waits for its end: the exit status. It dies with the thread that started it,
 * so none outlives its test, however that ends. */
pid_t cli_start(const char *arguments);
int cli_wait(pid_t process);

/* Tells it to end; it must end with status 0. Then *process is 0; if it was before, nothing happens. */
void cli_end(pid_t *process);

/* As cli_wait; what it wrote is in cli_stdout() and cli_stderr() then. */
int cli_finish(pid_t process);

/* Until the file "log" has `text`, at most 60 s. All of it so far is in cli_stderr() then. */
void cli_wait_for_log(const char *text);

/* A port of the loopback that nobody listens on, for a server that is started at once: none of those that the kernel gives to
 * outgoing connections, of which other tests make many. */
unsigned short cli_free_port(void);

#endif
