/* tests/integration/relay_fixture.h - the relay as its operator meets it: `outbox-relay run -c FILE`
 * as a process, its configuration made for the test, its log in a file. The program is named by
 * OUTBOX_TEST_RELAY; its files are made below OUTBOX_TEST_DIR.
 *
 * Whatever goes wrong prints why and the end of each relay's log, and aborts. A relay dies with the
 * thread that started it, so none outlives its test, however that ends. Main thread only. */
#ifndef TESTS_INTEGRATION_RELAY_FIXTURE_H
#define TESTS_INTEGRATION_RELAY_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* How long anything is waited for before it counts as not happening. */
#define PATIENCE_S 60

/* Sanitizers make everything slower and larger: what a time or a size may be multiplied by. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED_FACTOR 8
#else
#define SANITIZED_FACTOR 1
#endif

/* Ends the test: the words, then what the relays said. */
_Noreturn void fail_test(const char *format, ...) PRINTF_LIKE(1, 2);
#define check(condition, ...) ((condition) ? (void)0 : fail_test(__VA_ARGS__))

/* The value of a variable of the environment; fails the test if it is not set. */
const char *test_env(const char *name);

/* Calls `holds` every few milliseconds until it is true; fails the test, naming `what`, when it is
 * not within `seconds`. */
void await(bool (*holds)(void *context), void *context, const char *what, unsigned seconds);

struct relay;

/* How the sources of this process's relays find new rows: OUTBOX_TEST_MODE, or "poll". */
const char *relay_mode(void);
bool relay_tails(void); /* not "poll" */

/* NULL: the default of each. The source is called "test", the broker "main"; already set are
 * reconnect_initial, reconnect_max, retry_initial and retry_max, to short times. */
struct relay_options {
    const char *mode;     /* relay_mode() */
    const char *dsn;      /* db_dsn() */
    const char *uri;      /* OUTBOX_TEST_AMQP_URI */
    const char *exchange; /* "" */
    const char *retry_initial;
    const char *retry_max;
    const char *global; /* more of the configuration, as it stands in the file */
    const char *broker;
    const char *source;
    int log_fd; /* where its log goes instead of into a file of its own; 0: into that file */
};

struct relay *relay_start(const struct relay_options *options);

/* Starts it again after it ended: the same configuration, the log goes on. */
void relay_start_again(struct relay *relay);

/* Kills it if it still runs; removes its files. Takes NULL. */
void relay_free(struct relay *relay);

pid_t relay_pid(const struct relay *relay);
void relay_signal(const struct relay *relay, int signal);

/* Waits until it has ended: the exit status, or 128 + the signal that ended it. */
int relay_await_exit(struct relay *relay, unsigned seconds);

void relay_kill(struct relay *relay);  /* SIGKILL, and it is gone */
void relay_drain(struct relay *relay); /* SIGTERM, and it must end well */

/* Waits for a line of the log, after the one that was last waited for, that contains both texts;
 * `more` may be NULL. The line lives until the next call. */
const char *relay_await_log(struct relay *relay, const char *text, const char *more);

/* Waits until it has owned the outbox and reached the broker; what is waited for next comes later. */
void relay_await_work(struct relay *relay);

/* The same, and until it reads the database's log, which it does once it has sent all that there is. */
void relay_await_tailing(struct relay *relay);

/* How many lines of the whole log contain the text. */
unsigned relay_logged(const struct relay *relay, const char *text);

/* The most memory that the running process has had, in KiB. */
uint64_t relay_peak_kib(const struct relay *relay);

#endif
