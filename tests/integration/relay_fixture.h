/* tests/integration/relay_fixture.h - the relay as an operator runs it: `outbox-relay run -c FILE` as a process, with a
 * configuration for the test and its log in a file. The program is named by OUTBOX_TEST_RELAY; its files are below
 * OUTBOX_TEST_DIR.
 *
 * Any failure prints the reason and the end of each relay's log, and aborts. A relay ends with the thread that started
 * it, so it never outlives its test. Main thread only. */
#ifndef TESTS_INTEGRATION_RELAY_FIXTURE_H
#define TESTS_INTEGRATION_RELAY_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* How long to wait for anything before the test fails. */
#define PATIENCE_S 60

/* Sanitizers make everything slower and larger: the factor for times and sizes. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED_FACTOR 8
#else
#define SANITIZED_FACTOR 1
#endif

/* Ends the test, with this message and then the relays' logs. */
_Noreturn void fail_test(const char *format, ...) PRINTF_LIKE(1, 2);
#define check(condition, ...) ((condition) ? (void)0 : fail_test(__VA_ARGS__))

/* The value of an environment variable; fails the test if it is not set. */
const char *test_env(const char *name);

/* Calls `holds` every few milliseconds until it returns true; fails the test, naming `what`, after `seconds`. */
void await(bool (*holds)(void *context), void *context, const char *what, unsigned seconds);

struct relay;

/* How the sources of this process's relays find new rows: OUTBOX_TEST_MODE, or "poll". */
const char *relay_mode(void);
bool relay_tails(void); /* not "poll" */

/* Members that are NULL have the default beside them. The source is called "test", the broker "main";
 * reconnect_initial, reconnect_max, retry_initial and retry_max are set to short times. */
struct relay_options {
    const char *mode;     /* relay_mode() */
    const char *dsn;      /* db_dsn() */
    const char *uri;      /* OUTBOX_TEST_AMQP_URI */
    const char *exchange; /* "" */
    const char *retry_initial;
    const char *retry_max;
    const char *global; /* text to add to the configuration file */
    const char *broker;
    const char *source;
    const char *network; /* the file of the network namespace that it runs in; the test's own */
    int log_fd;          /* where its log goes; 0: into a file of its own */
};

struct relay *relay_start(const struct relay_options *options);

/* Starts it again after it ended, with the same configuration; its log continues. */
void relay_start_again(struct relay *relay);

/* Kills it if it still runs, and removes its files. Takes NULL. */
void relay_free(struct relay *relay);

pid_t relay_pid(const struct relay *relay);
void relay_signal(const struct relay *relay, int signal);

/* Waits until it has ended. Returns the exit status, or 128 + the signal that ended it. */
int relay_await_exit(struct relay *relay, unsigned seconds);

void relay_kill(struct relay *relay);  /* SIGKILL, and waits for its end */
void relay_drain(struct relay *relay); /* SIGTERM; it must exit with status 0 */

/* Waits for a line of the log with both texts, after the line that was last waited for; `more` may be NULL. The line is
 * valid until the next call. */
const char *relay_await_log(struct relay *relay, const char *text, const char *more);

/* Waits until it owns the outbox and is connected to the broker; later waits look at later lines. */
void relay_await_work(struct relay *relay);

/* The same, and until it reads the database's log, which it does once the backlog is sent. */
void relay_await_tailing(struct relay *relay);

/* The number of lines in the whole log with this text. */
unsigned relay_logged(const struct relay *relay, const char *text);

/* The number of lines with both texts. */
unsigned relay_logged_with(const struct relay *relay, const char *text, const char *more);

/* The peak memory of the running process, in KiB. */
uint64_t relay_peak_kib(const struct relay *relay);

#endif
