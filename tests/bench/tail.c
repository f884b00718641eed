/* Tailing. All rows are in the log and none of it has been sent when the clock starts, so that writing them is not measured:
 * the limit connects only then, and to the relay, which is live before, the server is held back as long. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/bench/bench.h"

/* An asynchronous commit is in the log the server sends only when it is on the disk: bench_settle_tables sees to that. */
void
bench_write_log(PGconn *conn, int64_t rows, enum bench_transactions transactions)
{
    char sql[500];
    if (transactions == BENCH_ONE_TRANSACTION) {
        bench_insert(conn, rows);
    } else {
        (void)snprintf(sql, sizeof(sql),
                       "do $$ begin for i in 1..%lld loop "
                       "insert into outbox (routing_key, key, payload) values ('" BENCH_QUEUE
                       "', (i %% %d)::text, int8send(i) || decode(repeat('%x', %d), 'hex')); "
                       "commit; end loop; end $$",
                       (long long)rows, BENCH_KEYS, BENCH_FILLER, BENCH_PAYLOAD_BYTES - 8);
        bench_exec(conn, "set synchronous_commit = off");
        bench_exec(conn, sql);
        bench_exec(conn, "reset synchronous_commit");
    }
    bench_settle_tables(conn);
}

static void
prepare(PGconn *conn, struct session *session)
{
    bench_empty(conn);
    bench_drop_slots(conn);
    bench_fresh_queue(session, BENCH_QUEUE);
}

struct bench_result
bench_tail_limit(int64_t messages, enum bench_transactions transactions)
{
    struct rusage usage;
    struct session *session = bench_session();
    PGconn *conn = bench_connect();
    prepare(conn, session);
    session_free(session);
    bench_exec(conn,
               "select pg_create_logical_replication_slot('" BENCH_LIMIT_SLOT "', 'pgoutput')");
    bench_write_log(conn, messages, transactions);
    const uint64_t start_us = clock_monotonic_us();
    bench_finish(bench_start(bench_bare_tail, messages), &usage);
    const double seconds = (double)(clock_monotonic_us() - start_us) / 1e6;
    bench_drop_slots(conn);
    PQfinish(conn);
    return (struct bench_result){.seconds = seconds};
}

static void
signal_sender(pid_t sender, int signal_number)
{
    if (kill(sender, signal_number) != 0) {
        bench_fail("the server does not send its log any more");
    }
}

/* While it is stopped, the relay is a subscriber to whom nothing comes. */
pid_t
bench_hold_log(PGconn *conn)
{
    const pid_t sender = (pid_t)bench_number(
        conn, "select active_pid from pg_replication_slots where database = current_database()");
    signal_sender(sender, SIGSTOP);
    return sender;
}

void
bench_release_log(pid_t sender)
{
    signal_sender(sender, SIGCONT);
}

struct bench_result
bench_tail(int64_t messages, const char *relay_path, enum bench_transactions transactions)
{
    struct session *session = bench_session();
    PGconn *conn = bench_connect();
    prepare(conn, session);
    const pid_t relay = bench_relay_start_live(relay_path);
    const pid_t sender = bench_hold_log(conn);
    bench_write_log(conn, messages, transactions);
    const uint64_t start_us = clock_monotonic_us();
    bench_release_log(sender);
    (void)bench_wait_for_queue(session, messages, start_us);
    bench_wait_for(conn, BENCH_ROWS_LEFT, 0);
    const double seconds = (double)(clock_monotonic_us() - start_us) / 1e6;
    const struct bench_cost cost = bench_relay_stop(relay);
    bench_drop_slots(conn);
    PQfinish(conn);
    session_free(session);
    return (struct bench_result){
        .seconds = seconds, .cpu_us = cost.cpu_us / (double)messages, .rss_mib = cost.rss_mib};
}
