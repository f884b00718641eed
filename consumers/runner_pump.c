#include "consumers/runner_pump.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

struct runner_pump {
    struct session *session;
    struct runner_pump_stop stop;
    bool stopping; /* the stop was seen; the descriptor stays readable */
    bool cut;      /* `cut` was called */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int wake; /* eventfd: the owner wants the session back */
    bool lent;
    bool wanted; /* the owner wants it back */
    bool quit;
};

/* The owner must learn that the connection is over before anything else can happen with it. */
static bool
is_over(const struct runner_pump *pump)
{
    const struct rabbit *rabbit = session_rabbit(pump->session);
    return rabbit == NULL || !rabbit_is_open(rabbit) || session_fd(pump->session) < 0;
}

/* Calls `cut` when the stop's deadline has come. Returns the deadline. */
static uint64_t
watch_stop(struct runner_pump *pump, short revents)
{
    pump->stopping = pump->stopping || revents != 0;
    if (!pump->stopping || pump->cut) {
        return CLOCK_NEVER_US;
    }
    const uint64_t deadline_us = pump->stop.deadline_us(pump->stop.context);
    if (clock_monotonic_us() >= deadline_us) {
        pump->stop.cut(pump->stop.context);
        pump->cut = true;
    }
    return deadline_us;
}

/* Waits for the socket, the time, a stop or the owner. */
static void
pump_session(struct runner_pump *pump)
{
    const bool over = is_over(pump);
    const uint64_t stop_us = watch_stop(pump, 0);
    struct pollfd descriptors[3] = {
        {.fd = pump->wake, .events = POLLIN},
        {.fd = over ? -1 : session_fd(pump->session), .events = session_poll_events(pump->session)},
        {.fd = pump->stopping ? -1 : pump->stop.stop, .events = POLLIN},
    };
    uint64_t deadline_us = over ? CLOCK_NEVER_US : session_deadline_us(pump->session);
    if (stop_us < deadline_us && !pump->cut) {
        deadline_us = stop_us;
    }
    (void)poll(descriptors, 3, clock_poll_timeout_ms(clock_monotonic_us(), deadline_us));
    (void)watch_stop(pump, descriptors[2].revents);
    if (!over) {
        session_process(pump->session, descriptors[1].revents, clock_monotonic_us());
    }
}

static void *
pump_run(void *argument)
{
    struct runner_pump *pump = argument;
    pthread_mutex_lock(&pump->mutex);
    while (!pump->quit) {
        if (!pump->lent) {
            pthread_cond_wait(&pump->changed, &pump->mutex);
            continue;
        }
        if (!pump->wanted) {
            pthread_mutex_unlock(&pump->mutex);
            pump_session(pump);
            pthread_mutex_lock(&pump->mutex);
            continue;
        }
        uint64_t ignored;
        /* It was written once for each `wanted`. */
        (void)!read(pump->wake, &ignored, sizeof(ignored));
        pump->wanted = false;
        pump->lent = false;
        pthread_cond_broadcast(&pump->changed);
    }
    pthread_mutex_unlock(&pump->mutex);
    return NULL;
}

static bool
start_thread(struct runner_pump *pump)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&pump->thread, NULL, pump_run, pump);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0;
}

struct runner_pump *
runner_pump_new(struct session *session, const struct runner_pump_stop *stop)
{
    struct runner_pump *pump = calloc(1, sizeof(*pump));
    if (pump == NULL) {
        return NULL;
    }
    pump->session = session;
    pump->stop = *stop;
    pump->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&pump->mutex, NULL);
    pthread_cond_init(&pump->changed, NULL);
    if (pump->wake < 0 || !start_thread(pump)) {
        if (pump->wake >= 0) {
            close(pump->wake);
        }
        free(pump);
        return NULL;
    }
    return pump;
}

void
runner_pump_free(struct runner_pump *pump)
{
    if (pump == NULL) {
        return;
    }
    assert(!pump->lent);
    pthread_mutex_lock(&pump->mutex);
    pump->quit = true;
    pthread_cond_broadcast(&pump->changed);
    pthread_mutex_unlock(&pump->mutex);
    pthread_join(pump->thread, NULL);
    close(pump->wake);
    pthread_cond_destroy(&pump->changed);
    pthread_mutex_destroy(&pump->mutex);
    free(pump);
}

void
runner_pump_lend(struct runner_pump *pump)
{
    pthread_mutex_lock(&pump->mutex);
    assert(!pump->lent);
    pump->lent = true;
    pthread_cond_broadcast(&pump->changed);
    pthread_mutex_unlock(&pump->mutex);
}

void
runner_pump_take_back(struct runner_pump *pump)
{
    pthread_mutex_lock(&pump->mutex);
    assert(pump->lent);
    pump->wanted = true;
    const uint64_t one = 1;
    (void)!write(pump->wake, &one, sizeof(one)); /* cannot fail: the counter was 0 */
    while (pump->lent) {
        pthread_cond_wait(&pump->changed, &pump->mutex);
    }
    pthread_mutex_unlock(&pump->mutex);
}
