/* tests/bench/sink.h - a broker that takes everything at memory speed: just enough of AMQP 0-9-1 for a publisher with confirms.
 * Beside it the relay shows what it costs itself, which a broker that takes three quarters of the machine hides.
 *
 * It is strict where it matters: every publish must be mandatory, persistent and have a message id, every body must be one
 * of bench_insert, and each must come once. It confirms as RabbitMQ does: all that one read of the socket brought by one
 * ack with `multiple`. Anything else than it knows ends the process, and that the bench. */
#ifndef SINK_H
#define SINK_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

/* Shared with the process of the sink; the marks are of the monotonic clock, 0: not yet. */
struct sink_tally {
    _Atomic int64_t came; /* different ones */
    _Atomic int64_t twice;
    _Atomic uint64_t begun_us; /* a tenth has come */
    _Atomic uint64_t ended_us; /* nine tenths */
};

struct sink {
    pid_t process;
    uint16_t port; /* on 127.0.0.1 */
    struct sink_tally *tally;
};

/* Starts one that expects the messages 1 to so many. Any user and password will do. */
struct sink sink_start(int64_t messages);

/* Ends it, however far it is. */
void sink_stop(struct sink *sink);

#endif
