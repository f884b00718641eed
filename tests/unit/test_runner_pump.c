#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "consumers/runner_pump.h"

static const struct runner_pump_stop no_stop = {.stop = -1};

static struct session *
make_session(void)
{
    struct amqp_endpoint endpoint;
    struct error error;
    cr_assert(amqp_uri_parse("amqp://127.0.0.1:1/", &endpoint, &error));
    struct session *session = session_new(&(struct session_options){.endpoint = &endpoint}, &error);
    amqp_endpoint_done(&endpoint);
    cr_assert_not_null(session);
    return session;
}

Test(runner_pump, a_session_can_be_lent_and_taken_back_any_number_of_times)
{
    struct session *session = make_session();
    struct runner_pump *pump = runner_pump_new(session, &no_stop);
    cr_assert_not_null(pump);
    for (int i = 0; i < 1000; i++) {
        runner_pump_lend(pump);
        runner_pump_take_back(pump);
    }
    runner_pump_free(pump);
    session_free(session);
}

/* The owner must learn of a lost connection; meanwhile it must not keep the thread busy. */
Test(runner_pump, a_connection_that_is_over_is_left_alone)
{
    struct session *session = make_session();
    struct runner_pump *pump = runner_pump_new(session, &no_stop);
    session_open(session, clock_monotonic_us());
    runner_pump_lend(pump);
    runner_pump_take_back(pump);
    struct rabbit_event event;
    const uint64_t deadline_us = clock_monotonic_us() + 10 * CLOCK_S_US;
    while (!session_next(session, &event)) {
        cr_assert_lt(clock_monotonic_us(), deadline_us);
        session_process(session, session_poll_events(session), clock_monotonic_us());
    }
    cr_expect_eq(event.type, RABBIT_CLOSED);
    runner_pump_free(pump);
    session_free(session);
}

static atomic_int cuts;
static uint64_t cut_due_us;

static uint64_t
when_due(void *context)
{
    (void)context;
    return cut_due_us;
}

static void
count_cut(void *context)
{
    (void)context;
    atomic_fetch_add(&cuts, 1);
}

Test(runner_pump, what_the_owner_waits_for_is_cut_once_when_a_stop_has_waited_for_long_enough)
{
    struct session *session = make_session();
    const int stop = eventfd(0, EFD_CLOEXEC);
    const struct runner_pump_stop how = {stop, when_due, count_cut, NULL};
    struct runner_pump *pump = runner_pump_new(session, &how);
    const uint64_t one = 1, begin_us = clock_monotonic_us();
    cut_due_us = begin_us + 100 * CLOCK_MS_US;
    runner_pump_lend(pump);
    cr_assert_eq(write(stop, &one, sizeof(one)), sizeof(one));
    while (atomic_load(&cuts) == 0) {
        cr_assert_lt(clock_monotonic_us(), begin_us + 30 * CLOCK_S_US);
    }
    cr_expect_geq(clock_monotonic_us(), cut_due_us);
    runner_pump_take_back(pump);
    runner_pump_lend(pump);
    runner_pump_take_back(pump);
    cr_expect_eq(atomic_load(&cuts), 1);
    runner_pump_free(pump);
    session_free(session);
    close(stop);
}

Test(runner_pump, no_pump_is_freed)
{
    runner_pump_free(NULL);
}
