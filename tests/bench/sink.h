/* tests/bench/sink.h - a broker that takes everything at memory speed: just enough of AMQP 0-9-1 for a publisher with
 * confirms. RabbitMQ takes three quarters of the machine; with the sink, the relay's own cost becomes visible.
 *
 * It is strict where it matters: every publish must be mandatory and persistent and have a message id, every body must
 * be one of bench_insert, and each must come once. As RabbitMQ does, it confirms all messages of one read of the socket
 * by one ack with `multiple`. Anything unknown ends the process, and so the bench. */
#ifndef SINK_H
#define SINK_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

/* Shared with the process of the sink; the times are of the monotonic clock, 0: not yet. */
struct sink_tally {
    _Atomic int64_t came; /* different messages */
    _Atomic int64_t twice;
    _Atomic uint64_t begun_us; /* when a tenth had come */
    _Atomic uint64_t ended_us; /* when nine tenths had come */
};

struct sink {
    pid_t process;
    uint16_t port; /* on 127.0.0.1 */
    struct sink_tally *tally;
};

/* Starts a sink that expects the messages 1 to `messages`. It accepts any user and password. */
struct sink sink_start(int64_t messages);

/* Ends it at any time. */
void sink_stop(struct sink *sink);

#endif
