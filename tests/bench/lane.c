#include "tests/bench/lane.h"

#include <stdlib.h>

#include "base/clock.h"
#include "tests/bench/bench.h"

void
lane_open(struct lane *lane, int64_t messages)
{
    *lane = (struct lane){.session = bench_session(), .messages = messages};
    publisher_init(&lane->publisher, "bench");
    lane->ids = calloc((size_t)messages, sizeof(*lane->ids));
    lane->acked = calloc((size_t)messages, sizeof(*lane->acked));
    if (lane->ids == NULL || lane->acked == NULL) {
        bench_fail("no memory");
    }
}

void
lane_close(struct lane *lane)
{
    session_free(lane->session);
    publisher_done(&lane->publisher);
    free(lane->ids);
    free(lane->acked);
}

bool
lane_has_room(const struct lane *lane)
{
    return lane->published - lane->confirmed <= LANE_WINDOW;
}

void
lane_publish(struct lane *lane, const struct row *row)
{
    struct error error;
    if (lane->published == lane->messages) {
        bench_fail("there are more rows than were written");
    }
    if (!publisher_publish(&lane->publisher, session_rabbit(lane->session), 1, row, &error)) {
        bench_fail("%s", error.text);
    }
    lane->ids[lane->published++] = row->id;
}

static void
take_confirms(struct lane *lane)
{
    struct rabbit_event event;
    while (session_next(lane->session, &event)) {
        if (event.type != RABBIT_CONFIRMED || event.tag > (uint64_t)lane->published) {
            bench_fail("the broker sent event %d instead of a confirm", event.type);
        }
        lane->acked[event.tag - 1] = true;
        if (event.multiple && (int64_t)event.tag > lane->confirmed) {
            lane->confirmed = (int64_t)event.tag;
        }
        while (lane->confirmed < lane->published && lane->acked[lane->confirmed]) {
            lane->confirmed++;
        }
    }
}

void
lane_process(struct lane *lane, short revents)
{
    session_process(lane->session, revents, clock_monotonic_us());
    take_confirms(lane);
}
