/* The limit of a broker: only a publisher. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/bench/bench.h"

#define WINDOW 8192
#define WRITE_BYTES ((size_t)256 * 1024)

static int64_t
fill_window(struct session *session, struct window *window, const struct rabbit_message *message,
            int64_t left)
{
    while (left > 0 && window->open < WINDOW && !window_is_full(window) &&
           session_queued_bytes(session) < WRITE_BYTES) {
        bench_send(session, window, message);
        left--;
    }
    return left;
}

void
bench_publish(int64_t messages)
{
    struct session *session = bench_session();
    struct buffer headers;
    struct window window;
    struct rabbit_event event;
    window_init(&window, WINDOW);
    buffer_init(&headers, 256, 1024);
    const struct rabbit_message message = bench_message(&headers);
    while (messages > 0 || window.open > 0) {
        messages = fill_window(session, &window, &message, messages);
        session_flush(session, clock_monotonic_us());
        struct pollfd fd = {.fd = session_fd(session), .events = session_poll_events(session)};
        (void)poll(&fd, 1, 1000); /* the loop ends with the last message */
        session_process(session, fd.revents, clock_monotonic_us());
        while (session_next(session, &event)) {
            bench_confirm(&window, &event);
        }
    }
    session_free(session);
    window_done(&window);
    buffer_done(&headers);
}
