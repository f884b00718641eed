#include "tests/integration/relay_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/db_fixture.h"

#define TAIL_BYTES 3000
#define LINE_BYTES 4096

struct relay {
    char directory[256];
    char config[300];
    char log[300];
    const char *network; /* these two as in relay_options */
    int log_fd;
    pid_t pid; /* 0: not running */
    long seen; /* bytes of the log up to the end of the line that was last waited for */
    char line[LINE_BYTES];
    struct relay *next;
};

static struct relay *relays; /* all relays that are not freed yet */

static void
print_tail(const struct relay *relay)
{
    char text[TAIL_BYTES];
    FILE *file = fopen(relay->log, "r");
    if (file == NULL) {
        return;
    }
    (void)fseek(file, 0, SEEK_END);
    const long size = ftell(file);
    (void)fseek(file, size > TAIL_BYTES ? size - TAIL_BYTES : 0, SEEK_SET);
    const size_t length = fread(text, 1, sizeof(text), file);
    (void)fprintf(stderr, "--- the end of %s (%ld bytes)\n%.*s", relay->log, size, (int)length,
                  text);
    (void)fclose(file);
}

void
fail_test(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    for (const struct relay *relay = relays; relay != NULL; relay = relay->next) {
        print_tail(relay);
    }
    abort();
}

const char *
test_env(const char *name)
{
    const char *value = getenv(name);
    check(value != NULL && value[0] != '\0',
          "%s is not set: this test needs real servers (tests/services) and a built relay", name);
    return value;
}

void
await(bool (*holds)(void *context), void *context, const char *what, unsigned seconds)
{
    const uint64_t deadline_us = clock_monotonic_us() + seconds * CLOCK_S_US;
    while (!holds(context)) {
        check(clock_monotonic_us() < deadline_us, "not within %u s: %s", seconds, what);
        (void)usleep(5000);
    }
}

static const char *
or_else(const char *text, const char *otherwise)
{
    return text != NULL ? text : otherwise;
}

const char *
relay_mode(void)
{
    return or_else(getenv("OUTBOX_TEST_MODE"), "poll");
}

bool
relay_tails(void)
{
    return strcmp(relay_mode(), "poll") != 0;
}

static void
write_config(const struct relay *relay, const struct relay_options *options)
{
    FILE *file = fopen(relay->config, "w");
    check(file != NULL && fchmod(fileno(file), 0600) == 0, "%s: %s", relay->config,
          strerror(errno));
    (void)fprintf(file,
                  "%s\n"
                  "broker \"main\" {\n"
                  "    uri = \"%s\"\n"
                  "    reconnect_initial = \"50ms\"\n"
                  "    reconnect_max = \"500ms\"\n"
                  "    %s\n"
                  "}\n"
                  "source \"test\" {\n"
                  "    kind = \"%s\"\n"
                  "    dsn = \"%s\"\n"
                  "    broker = \"main\"\n"
                  "    exchange = \"%s\"\n"
                  "    retry_initial = \"%s\"\n"
                  "    retry_max = \"%s\"\n"
                  "    mode = \"%s\"\n"
                  "    %s\n"
                  "}\n",
                  or_else(options->global, ""),
                  options->uri != NULL ? options->uri : test_env("OUTBOX_TEST_AMQP_URI"),
                  or_else(options->broker, ""), db_kind(), or_else(options->dsn, db_dsn()),
                  or_else(options->exchange, ""), or_else(options->retry_initial, "100ms"),
                  or_else(options->retry_max, "500ms"), or_else(options->mode, relay_mode()),
                  or_else(options->source, ""));
    check(fclose(file) == 0, "%s: %s", relay->config, strerror(errno));
}

static _Noreturn void
become_relay(const struct relay *relay, const char *program, pid_t parent)
{
    const int log = relay->log_fd > 0
                        ? relay->log_fd
                        : open(relay->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log < 0 || nothing < 0 || dup2(nothing, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        _exit(127);
    }
    if (relay->network != NULL) {
        const int network = open(relay->network, O_RDONLY | O_CLOEXEC);
        if (network < 0 || setns(network, CLONE_NEWNET) != 0) {
            _exit(127);
        }
    }
    (void)execl(program, program, "run", "-c", relay->config, (char *)NULL);
    _exit(127);
}

void
relay_start_again(struct relay *relay)
{
    const char *program = test_env("OUTBOX_TEST_RELAY");
    const pid_t parent = getpid();
    check(relay->pid == 0, "the relay still runs");
    relay->pid = fork();
    check(relay->pid >= 0, "fork: %s", strerror(errno));
    if (relay->pid == 0) {
        become_relay(relay, program, parent);
    }
}

struct relay *
relay_start(const struct relay_options *options)
{
    struct relay *relay = calloc(1, sizeof(*relay));
    check(relay != NULL, "out of memory");
    (void)snprintf(relay->directory, sizeof(relay->directory), "%s/relay-XXXXXX",
                   test_env("OUTBOX_TEST_DIR"));
    check(mkdtemp(relay->directory) != NULL, "%s: %s", relay->directory, strerror(errno));
    (void)snprintf(relay->config, sizeof(relay->config), "%s/relay.conf", relay->directory);
    (void)snprintf(relay->log, sizeof(relay->log), "%s/log", relay->directory);
    relay->log_fd = options->log_fd;
    relay->network = options->network;
    write_config(relay, options);
    relay->next = relays;
    relays = relay;
    relay_start_again(relay);
    return relay;
}

void
relay_free(struct relay *relay)
{
    if (relay == NULL) {
        return;
    }
    if (relay->pid > 0) {
        relay_kill(relay);
    }
    struct relay **place = &relays;
    while (*place != relay) {
        place = &(*place)->next;
    }
    *place = relay->next;
    (void)unlink(relay->config); /* what is left is removed with OUTBOX_TEST_DIR */
    (void)unlink(relay->log);
    (void)rmdir(relay->directory);
    free(relay);
}

pid_t
relay_pid(const struct relay *relay)
{
    return relay->pid;
}

void
relay_signal(const struct relay *relay, int signal)
{
    check(relay->pid > 0 && kill(relay->pid, signal) == 0, "signal %d: the relay has ended",
          signal);
}

struct ended {
    struct relay *relay;
    int status;
};

static bool
has_ended(void *context)
{
    struct ended *ended = context;
    const pid_t pid = waitpid(ended->relay->pid, &ended->status, WNOHANG);
    check(pid >= 0, "waitpid: %s", strerror(errno));
    return pid > 0;
}

int
relay_await_exit(struct relay *relay, unsigned seconds)
{
    struct ended ended = {.relay = relay};
    check(relay->pid > 0, "the relay does not run");
    await(has_ended, &ended, "the relay ends", seconds);
    relay->pid = 0;
    return WIFEXITED(ended.status) ? WEXITSTATUS(ended.status) : 128 + WTERMSIG(ended.status);
}

void
relay_kill(struct relay *relay)
{
    relay_signal(relay, SIGKILL);
    const int status = relay_await_exit(relay, PATIENCE_S);
    check(status == 128 + SIGKILL, "the relay had ended by itself: exit status %d", status);
}

/* True once SIGTERM is blocked, for its signalfd; before, it would kill a relay that was started just now. True for one that has
 * ended, too. */
static bool
takes_signals(void *context)
{
    const struct relay *relay = context;
    char name[40];
    char line[LINE_BYTES];
    unsigned long long blocked = 0;
    bool ended = false;
    (void)snprintf(name, sizeof(name), "/proc/%d/status", (int)relay->pid); /* fits */
    FILE *file = fopen(name, "r");
    if (file == NULL) {
        return true;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        ended = ended || strncmp(line, "State:\tZ", 8) == 0;
        if (strncmp(line, "SigBlk:", 7) == 0) {
            blocked = strtoull(line + 7, NULL, 16);
        }
    }
    (void)fclose(file);
    return ended || (blocked & (1ULL << (SIGTERM - 1))) != 0;
}

void
relay_drain(struct relay *relay)
{
    await(takes_signals, relay, "the relay takes signals", PATIENCE_S);
    relay_signal(relay, SIGTERM);
    const int status = relay_await_exit(relay, PATIENCE_S);
    check(status == 0, "drained: exit status %d", status);
}

struct wanted {
    struct relay *relay;
    const char *text;
    const char *more;
};

/* `more` may be NULL. */
static bool
has_both(const char *line, const char *text, const char *more)
{
    return strstr(line, text) != NULL && (more == NULL || strstr(line, more) != NULL);
}

/* Only whole lines count: the last one may be incomplete. */
static bool
is_logged(void *context)
{
    const struct wanted *wanted = context;
    struct relay *relay = wanted->relay;
    bool found = false;
    FILE *file = fopen(relay->log, "r");
    if (file == NULL) {
        return false;
    }
    (void)fseek(file, relay->seen, SEEK_SET);
    while (!found && fgets(relay->line, LINE_BYTES, file) != NULL &&
           strchr(relay->line, '\n') != NULL) {
        relay->seen = ftell(file);
        found = has_both(relay->line, wanted->text, wanted->more);
    }
    (void)fclose(file);
    check(found || waitpid(relay->pid, NULL, WNOHANG) == 0,
          "the relay ended while \"%s\" was awaited", wanted->text);
    return found;
}

const char *
relay_await_log(struct relay *relay, const char *text, const char *more)
{
    char what[256];
    check(relay->pid > 0, "the relay does not run");
    (void)snprintf(what, sizeof(what), "a line of the log with \"%s\" and \"%s\"", text,
                   or_else(more, ""));
    await(is_logged, &(struct wanted){relay, text, more}, what, PATIENCE_S);
    return relay->line;
}

unsigned
relay_logged(const struct relay *relay, const char *text)
{
    return relay_logged_with(relay, text, NULL);
}

unsigned
relay_logged_with(const struct relay *relay, const char *text, const char *more)
{
    char line[LINE_BYTES];
    unsigned count = 0;
    FILE *file = fopen(relay->log, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        count += has_both(line, text, more) ? 1 : 0;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return count;
}

static bool
is_at_work(void *context)
{
    const struct relay *relay = context;
    return relay_logged(relay, "event=source_owned") > 0 &&
           relay_logged(relay, "event=lane_ready") > 0;
}

static bool
is_tailing(void *context)
{
    return is_at_work(context) && relay_logged(context, "event=tailing") > 0;
}

static void
pass_log(struct relay *relay)
{
    struct stat log;
    check(stat(relay->log, &log) == 0, "%s: %s", relay->log, strerror(errno));
    relay->seen = log.st_size;
}

void
relay_await_work(struct relay *relay)
{
    await(is_at_work, relay, "the relay owns the outbox and reaches the broker", PATIENCE_S);
    pass_log(relay);
}

void
relay_await_tailing(struct relay *relay)
{
    await(is_tailing, relay, "the relay reads the log", PATIENCE_S);
    pass_log(relay);
}

uint64_t
relay_peak_kib(const struct relay *relay)
{
    char path[64];
    char line[256];
    (void)snprintf(path, sizeof(path), "/proc/%ld/status", (long)relay->pid);
    FILE *file = fopen(path, "r");
    check(file != NULL, "%s: %s", path, strerror(errno));
    uint64_t kib = 0;
    while (kib == 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            kib = strtoull(line + 6, NULL, 10);
        }
    }
    (void)fclose(file);
    check(kib > 0, "%s has no VmHWM", path);
    return kib;
}
