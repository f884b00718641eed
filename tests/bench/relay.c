#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/bench/bench.h"

#define RUN_MAX_US (600 * CLOCK_S_US)

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
write_config(void)
{
    FILE *file = create(config_path());
    (void)fprintf(file,
                  "log_level = \"warning\"\n"
                  "broker \"main\" { uri = \"%s\" }\n"
                  "source \"bench\" { kind = \"postgres\" mode = \"poll\" dsn = \"%s\" broker = "
                  "\"main\" exchange = \"\" }\n",
                  bench_env("OUTBOX_TEST_AMQP_URI"), bench_dsn());
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
bench_relay_start(const char *relay_path, const char *log_path)
{
    write_config();
    const pid_t relay = fork();
    if (relay == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* not to outlive a bench that fails */
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

void
bench_relay_stop(pid_t relay, struct rusage *ret_usage)
{
    int status;
    (void)kill(relay, SIGTERM); /* wait4 tells */
    if (wait4(relay, &status, 0, ret_usage) != relay || !WIFEXITED(status) ||
        WEXITSTATUS(status) != 0) {
        bench_fail("the relay did not drain (status %d)", status);
    }
    (void)unlink(config_path()); /* the directory goes with the servers */
}

double
bench_wait_for_queue(struct session *session, int64_t messages, uint64_t start_us)
{
    while (bench_queue_length(session, BENCH_QUEUE) < messages) {
        if (clock_monotonic_us() - start_us > RUN_MAX_US) {
            bench_fail("the relay is not done after ten minutes");
        }
        (void)poll(NULL, 0, 10);
    }
    return (double)(clock_monotonic_us() - start_us) / 1e6;
}

struct bench_result
bench_relay(int64_t messages, const char *relay_path)
{
    struct session *session = bench_session();
    struct rusage usage;
    const uint64_t start_us = clock_monotonic_us();
    const pid_t relay = bench_relay_start(relay_path, NULL);
    const double seconds = bench_wait_for_queue(session, messages, start_us);
    bench_relay_stop(relay, &usage);
    session_free(session);
    PGconn *conn = bench_connect();
    if (bench_number(conn, "select count(*) from outbox") != 0) {
        bench_fail("the relay drained and rows are left");
    }
    PQfinish(conn);
    return (struct bench_result){
        .seconds = seconds,
        .cpu_us = bench_rusage_cpu_us(&usage) / (double)messages,
        .rss_mib = (double)usage.ru_maxrss / 1024,
    };
}
