#include "base/command.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define LONG_US (600 * CLOCK_S_US)
#define MAX 100

TestSuite(command, .timeout = 120);

static struct command *
start(const char *line, uint64_t timeout_us)
{
    struct error error;
    struct command *const command = command_start(line, timeout_us, MAX, &error);
    cr_assert_not_null(command, "%s", error.text);
    return command;
}

static void
await_end(struct command *command)
{
    struct pollfd wait = {.fd = command_fd(command), .events = POLLIN};
    cr_assert_eq(poll(&wait, 1, 100000), 1, "it does not end");
}

static void
expect_output(const char *line, const char *text, size_t size)
{
    struct command *const command = start(line, LONG_US);
    struct error error;
    char *output;
    size_t got;
    await_end(command);
    cr_assert(command_take(command, &output, &got, &error));
    cr_assert_not_null(output, "%s: %s", line, error.text);
    cr_assert_eq(got, size, "%s: %zu bytes: %s", line, got, output);
    cr_assert_arr_eq(output, text, size + 1, "%s: %s", line, output);
    command_free(command);
}

static void
expect_failure_within(const char *line, uint64_t timeout_us, enum error_class class,
                      const char *text)
{
    struct command *const command = start(line, timeout_us);
    struct error error;
    char *output;
    size_t size;
    await_end(command);
    cr_assert(command_take(command, &output, &size, &error));
    cr_assert_null(output, "%s", line);
    cr_assert_str_eq(error.text, text, "%s: %s", line, error.text);
    cr_assert_eq(error.class, class, "%s", line);
    command_free(command);
}

static void
expect_failure(const char *line, enum error_class class, const char *text)
{
    expect_failure_within(line, LONG_US, class, text);
}

Test(command, its_output_is_as_it_wrote_it)
{
    expect_output("echo secret", "secret\n", 7);
    expect_output("printf '%s' \"two words\" | cat", "two words", 9);
    expect_output("true", "", 0);
    expect_output("printf 'a\\0b'", "a\0b", 3);
    expect_output("echo not this >&2; echo secret", "secret\n", 7);
}

Test(command, how_it_failed_is_said_with_the_first_line_of_its_error)
{
    expect_failure("exit 3", ERROR_CONNECTION, "it ended with exit status 3");
    expect_failure("echo half; echo >&2; echo no such secret >&2; echo more >&2; exit 1",
                   ERROR_CONNECTION, "it ended with exit status 1: no such secret");
    expect_failure("kill -TERM $$", ERROR_CONNECTION, "it was ended by signal 15");
    expect_failure("exec /nowhere/at/all 2>&-", ERROR_CONFIG, "it ended with exit status 127");
}

/* Promise: what goes to the log has no control characters, and only so much of it. */
Test(command, its_error_is_cleaned_and_bounded)
{
    char text[300];
    char many[201];
    memset(many, 'x', 200);
    many[200] = '\0';
    (void)snprintf(text, sizeof(text), "it ended with exit status 1: %s", many);
    expect_failure("printf '\\033[31mred\\377\\t\\177\\n' >&2; exit 1", ERROR_CONNECTION,
                   "it ended with exit status 1: ?[31mred???");
    expect_failure("printf 'kein Schl\\303\\274ssel\\n' >&2; exit 1", ERROR_CONNECTION,
                   "it ended with exit status 1: kein Schl\303\274ssel");
    expect_failure("head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 1", ERROR_CONNECTION, text);
}

/* Promise: a script that shows what it does does not put the secret into the log. */
Test(command, an_error_with_the_output_in_it_is_not_shown)
{
    expect_failure("set -x; echo hunter2; exit 1", ERROR_CONNECTION,
                   "it ended with exit status 1; its error has its output in it, and is not shown");
}

Test(command, too_much_output_is_a_failure)
{
    static const char words[] = "it wrote more than 100 bytes";
    char line[200];
    char text[MAX + 1];
    memset(text, 'x', MAX);
    text[MAX] = '\0';
    (void)snprintf(line, sizeof(line), "printf %s", text);
    expect_output(line, text, MAX);
    (void)snprintf(line, sizeof(line), "echo %s", text);
    expect_failure(line, ERROR_CONNECTION, words);
    expect_failure("yes", ERROR_CONNECTION, words);
    expect_failure("head -c 3000000 /dev/urandom", ERROR_CONNECTION, words);
}

/* ---- its end -------------------------------------------------------------------------------------------- */

/* The number that the command has written into the file "pid"; waits until it is there. */
static pid_t
read_pid(const char *path)
{
    int pid = 0;
    for (int i = 0; i < 6000 && pid == 0; i++) {
        FILE *const file = fopen(path, "re");
        if (file == NULL || fscanf(file, "%d\n", &pid) != 1) {
            pid = 0;
            (void)poll(NULL, 0, 10);
        }
        if (file != NULL) {
            (void)fclose(file);
        }
    }
    cr_assert_gt(pid, 0, "it wrote no number");
    return pid;
}

/* Gone, or a zombie that its new parent has not waited for. */
static bool
is_over(pid_t pid)
{
    char path[40];
    char state = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *const file = fopen(path, "re");
    if (file == NULL) {
        return true;
    }
    const bool read = fscanf(file, "%*d (%*[^)]) %c", &state) == 1;
    (void)fclose(file);
    return !read || state == 'Z' || state == 'X';
}

static void
await_over(pid_t pid)
{
    for (int i = 0; i < 6000 && !is_over(pid); i++) {
        (void)poll(NULL, 0, 10);
    }
    cr_assert(is_over(pid), "process %d goes on", (int)pid);
}

/* The name of a file that is not there. */
static char *
fresh_path(void)
{
    static char path[40];
    (void)snprintf(path, sizeof(path), "/tmp/test_command.XXXXXX");
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert(close(fd) == 0 && unlink(path) == 0);
    return path;
}

Test(command, what_hangs_is_killed_with_all_that_it_started)
{
    char line[200];
    char *const path = fresh_path();
    (void)snprintf(line, sizeof(line), "sleep 1000 & echo $! >%s.new; mv %s.new %s; sleep 1000",
                   path, path, path);
    expect_failure_within(line, 2 * CLOCK_S_US, ERROR_CONNECTION,
                          "it took longer than 2s and was killed");
    await_over(read_pid(path));
    (void)unlink(path);
}

Test(command, what_ignores_signals_is_killed_too)
{
    expect_failure_within("trap '' TERM INT HUP; echo trying >&2; sleep 1000; sleep 1000",
                          CLOCK_S_US, ERROR_CONNECTION,
                          "it took longer than 1s and was killed: trying");
}

/* Promise: an output that is closed is not yet an answer: how the command ends counts. */
Test(command, a_closed_output_is_not_the_end)
{
    expect_output("echo secret; exec >&- 2>&-; read x; true", "secret\n", 7);
    expect_failure("echo secret; exec >&- 2>&-; exit 1", ERROR_CONNECTION,
                   "it ended with exit status 1");
    expect_failure_within("echo secret; exec >&- 2>&-; sleep 1000", CLOCK_S_US, ERROR_CONNECTION,
                          "it took longer than 1s and was killed");
}

/* Promise: what the shell leaves behind is not waited for, and does not stay. */
Test(command, what_it_left_behind_ends_with_it)
{
    char line[100];
    char *const path = fresh_path();
    (void)snprintf(line, sizeof(line), "sleep 1000 & echo $! >%s; echo secret", path);
    expect_output(line, "secret\n", 7);
    await_over(read_pid(path));
    (void)unlink(path);
}

Test(command, who_gives_up_ends_it)
{
    char line[100];
    char *const path = fresh_path();
    (void)snprintf(line, sizeof(line), "echo $$ >%s; exec sleep 1000", path);
    struct command *const command = start(line, LONG_US);
    const pid_t pid = read_pid(path);
    command_free(command);
    await_over(pid);
    (void)unlink(path);
}

static void *
cancel_thread(void *argument)
{
    command_cancel(argument);
    return NULL;
}

Test(command, another_thread_may_cancel_it)
{
    /* At first before the shell is there, then while it runs. */
    for (int i = 0; i < 20; i++) {
        struct command *const command = start("exec sleep 1000", LONG_US);
        struct error error;
        pthread_t thread;
        char *output;
        size_t size;
        (void)poll(NULL, 0, i);
        cr_assert_eq(pthread_create(&thread, NULL, cancel_thread, command), 0);
        await_end(command);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        cr_assert(command_take(command, &output, &size, &error));
        cr_assert_null(output);
        command_free(command);
    }
}

Test(command, nobody_needs_to_wait)
{
    for (int i = 0; i < 50; i++) {
        command_free(start("echo secret", LONG_US));
    }
    command_free(NULL);
}

/* Promise: no zombie stays. */
Test(command, it_is_waited_for)
{
    int left = 1;
    expect_output("echo secret", "secret\n", 7);
    expect_failure_within("sleep 1000", CLOCK_MS_US, ERROR_CONNECTION,
                          "it took longer than 1ms and was killed");
    for (int i = 0; i < 6000 && left != 0; i++) {
        left = waitid(P_ALL, 0, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD
                   ? 0
                   : 1;
        (void)poll(NULL, 0, left != 0 ? 10 : 0);
    }
    cr_assert_eq(left, 0, "a child is left");
}

/* ---- what it inherits ----------------------------------------------------------------------------------- */

Test(command, it_gets_no_descriptors_but_three)
{
    const int kept = fcntl(STDOUT_FILENO, F_DUPFD, 50); /* without FD_CLOEXEC, as some libraries */
    cr_assert_geq(kept, 50);
    expect_output("for i in $(seq 0 100); do test ! -e /proc/$$/fd/$i || echo $i; done",
                  "0\n1\n2\n", 6);
    expect_output("cat", "", 0); /* its input is empty */
    cr_assert_eq(close(kept), 0);
}

Test(command, no_signal_is_blocked_or_ignored)
{
    static const char none[] = "0000000\n0000000\n";
    sigset_t blocked;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGTERM);
    (void)sigaddset(&blocked, SIGHUP);
    cr_assert_eq(pthread_sigmask(SIG_BLOCK, &blocked, NULL), 0);
    cr_assert_neq(signal(SIGPIPE, SIG_IGN), SIG_ERR);
    /* Of the signals 1 to 28; glibc ignores two with higher numbers, which it uses itself. */
    expect_output("sed -nE 's/^Sig(Blk|Ign):.*(.{7})$/\\2/p' /proc/self/status", none,
                  sizeof(none) - 1);
}
