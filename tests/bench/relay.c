#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/bench/bench.h"

#define STOP_MAX_US (120 * CLOCK_S_US)
#define LIVE_MAX_US (60 * CLOCK_S_US)

static const char *
config_path(void)
{
    static char path[300];
    (void)snprintf(path, sizeof(path), "%s/bench.conf", bench_env("OUTBOX_TEST_DIR"));
    return path;
}

static FILE *
create(const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        bench_fail("%s: %s", path, strerror(errno));
    }
    return file;
}

static void
write_config(const char *mode, const char *log_path)
{
    FILE *file = create(config_path());
    (void)fchmod(fileno(file), 0600); /* it contains passwords; the relay would warn otherwise */
    (void)fprintf(file,
                  "log_level = \"%s\"\n"
                  "broker \"main\" { uri = \"%s\" }\n"
                  "source \"bench\" { kind = \"%s\" mode = \"%s\" dsn = \"%s\" broker = "
                  "\"main\" exchange = \"\" }\n",
                  log_path == NULL ? "warning" : "info", bench_broker(), bench_database()->kind,
                  mode, bench_database()->dsn());
    if (fclose(file) != 0) {
        bench_fail("%s: %s", config_path(), strerror(errno));
    }
}

static void
log_to(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) {
        bench_fail("%s: %s", path, strerror(errno));
    }
}

pid_t
bench_relay_start(const char *relay_path, const char *mode, const char *log_path)
{
    write_config(mode, log_path);
    const pid_t relay = fork();
    if (relay == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* so that it ends with a bench that fails */
        if (log_path != NULL) {
            log_to(log_path);
        }
        (void)execl(relay_path, "outbox-relay", "run", "-c", config_path(), (char *)NULL);
        bench_fail("%s: %s", relay_path, strerror(errno));
    }
    if (relay < 0) {
        bench_fail("fork: %s", strerror(errno));
    }
    return relay;
}

static bool
log_has(const char *path, const char *event)
{
    char line[1000];
    bool found = false;
    FILE *file = fopen(path, "r"); /* NULL: the relay has not opened it yet */
    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        found = strstr(line, event) != NULL;
    }
    if (file != NULL) {
        (void)fclose(file); /* was only read */
    }
    return found;
}

static const char *
tail_log(void)
{
    static char path[300];
    (void)snprintf(path, sizeof(path), "%s/bench-tail.log", bench_env("OUTBOX_TEST_DIR"));
    return path;
}

pid_t
bench_relay_start_live(const char *relay_path)
{
    const uint64_t start_us = clock_monotonic_us();
    (void)unlink(tail_log()); /* from the last run, if there was one */
    const pid_t relay = bench_relay_start(relay_path, "tail", tail_log());
    while (!log_has(tail_log(), " event=tailing ")) {
        if (clock_monotonic_us() - start_us > LIVE_MAX_US) {
            bench_fail("the relay does not tail; see %s", tail_log());
        }
        (void)poll(NULL, 0, 5);
    }
    return relay;
}

/* Its peak memory so far. getrusage would give the bench's own if that is more, because the relay was forked from
 * it. */
static double
peak_rss_mib(pid_t process)
{
    char path[50];
    char line[200];
    long kib = -1;
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)process);
    FILE *file = fopen(path, "r");
    while (file != NULL && kib < 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            kib = strtol(line + 6, NULL, 10);
        }
    }
    if (kib < 0) {
        bench_fail("%s does not tell the memory", path);
    }
    (void)fclose(file); /* was only read */
    return (double)kib / 1024;
}

struct bench_cost
bench_relay_stop(pid_t relay)
{
    const double rss_mib = peak_rss_mib(relay);
    struct rusage usage;
    int status;
    const uint64_t start_us = clock_monotonic_us();
    pid_t ended;
    (void)kill(relay, SIGTERM); /* wait4 shows whether it ended */
    while ((ended = wait4(relay, &status, WNOHANG, &usage)) == 0) {
        if (clock_monotonic_us() - start_us > STOP_MAX_US) {
            bench_fail("the relay was told to stop and goes on");
        }
        (void)poll(NULL, 0, 5);
    }
    if (ended != relay || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        bench_fail("the relay did not drain (status %d)", status);
    }
    (void)unlink(config_path()); /* its directory is removed with the servers */
    return (struct bench_cost){.cpu_us = bench_rusage_cpu_us(&usage), .rss_mib = rss_mib};
}

double
bench_wait_for_queue(struct session *session, int64_t messages, uint64_t start_us)
{
    struct bench_progress progress = {0};
    int64_t length;
    while ((length = bench_queue_length(session, BENCH_QUEUE)) < messages) {
        bench_expect_progress(&progress, length, "messages in the queue");
        (void)poll(NULL, 0, 10);
    }
    return (double)(clock_monotonic_us() - start_us) / 1e6;
}

struct bench_result
bench_relay(int64_t messages, const char *relay_path)
{
    struct session *session = bench_session();
    const uint64_t start_us = clock_monotonic_us();
    const pid_t relay = bench_relay_start(relay_path, "poll", NULL);
    const double seconds = bench_wait_for_queue(session, messages, start_us);
    const struct bench_cost cost = bench_relay_stop(relay);
    session_free(session);
    if (!bench_database()->is_empty()) {
        bench_fail("the relay drained and rows are left");
    }
    return (struct bench_result){
        .seconds = seconds,
        .cpu_us = cost.cpu_us / (double)messages,
        .rss_mib = cost.rss_mib,
    };
}
