/* Tailing. When the clock starts, all rows are in the log and nothing of it has been sent, so that writing them is not
 * measured. The limit connects only then; for the relay, which is live before, the process that sends the log is
 * stopped until then. */
#include <signal.h>

#include "base/clock.h"
#include "tests/bench/bench.h"

static void
prepare(struct session *session)
{
    bench_database()->empty();
    bench_fresh_queue(session, BENCH_QUEUE);
}

struct bench_result
bench_tail_limit(int64_t messages, enum bench_transactions transactions)
{
    struct rusage usage;
    struct session *session = bench_session();
    prepare(session);
    session_free(session);
    bench_database()->mark_log();
    bench_database()->write_log(messages, transactions);
    const uint64_t start_us = clock_monotonic_us();
    bench_finish(bench_start(bench_database()->bare_tail, messages), &usage);
    const double seconds = (double)(clock_monotonic_us() - start_us) / 1e6;
    bench_database()->empty();
    return (struct bench_result){.seconds = seconds};
}

static void
signal_holder(pid_t holder, int signal_number)
{
    if (kill(holder, signal_number) != 0) {
        bench_fail("the log is not sent any more");
    }
}

pid_t
bench_hold_log(pid_t relay)
{
    const pid_t holder = bench_database()->log_holder(relay);
    signal_holder(holder, SIGSTOP);
    return holder;
}

void
bench_release_log(pid_t holder)
{
    signal_holder(holder, SIGCONT);
}

struct bench_result
bench_tail(int64_t messages, const char *relay_path, enum bench_transactions transactions)
{
    struct session *session = bench_session();
    prepare(session);
    const pid_t relay = bench_relay_start_live(relay_path);
    const pid_t holder = bench_hold_log(relay);
    bench_database()->write_log(messages, transactions);
    const uint64_t start_us = clock_monotonic_us();
    bench_release_log(holder);
    (void)bench_wait_for_queue(session, messages, start_us);
    bench_wait_until_empty();
    const double seconds = (double)(clock_monotonic_us() - start_us) / 1e6;
    const struct bench_cost cost = bench_relay_stop(relay);
    bench_database()->empty();
    session_free(session);
    return (struct bench_result){
        .seconds = seconds, .cpu_us = cost.cpu_us / (double)messages, .rss_mib = cost.rss_mib};
}
