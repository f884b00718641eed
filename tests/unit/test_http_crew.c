#include <criterion/criterion.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "relay/http/crew.h"

#define LONG_US (60 * CLOCK_S_US)

static sem_t begun;
static sem_t may_end;
static atomic_uint done;
static atomic_uint dropped;

static void
set_up(void)
{
    cr_assert_eq(sem_init(&begun, 0, 0), 0);
    cr_assert_eq(sem_init(&may_end, 0, 0), 0);
}

TestSuite(http_crew, .init = set_up, .timeout = 60);

static void
work(void *context, bool ending)
{
    (void)context; /* has the shape of a job */
    if (ending) {
        dropped++;
        return;
    }
    (void)sem_post(&begun);
    while (sem_wait(&may_end) != 0) {
    }
    done++;
}

static void
await_begun(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        while (sem_wait(&begun) != 0) {
        }
    }
}

static void
let_end(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        (void)sem_post(&may_end);
    }
}

Test(http_crew, does_so_much_at_a_time_and_lets_so_much_wait)
{
    struct crew *const crew = crew_new(2, 3);
    cr_assert(crew_do(crew, work, NULL));
    cr_assert(crew_do(crew, work, NULL));
    await_begun(2); /* both at the same time, or this never ends */
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(crew_do(crew, work, NULL));
    }
    cr_assert_not(crew_do(crew, work, NULL), "too many");
    let_end(1);
    await_begun(1); /* one that waited */
    cr_assert(crew_do(crew, work, NULL), "there is room again");
    let_end(5);
    await_begun(3);
    cr_assert(crew_stop(crew, LONG_US));
    cr_assert_eq(done + dropped, 6);
    cr_assert_eq(dropped, 0);
}

Test(http_crew, what_waits_at_the_end_is_told_so)
{
    struct crew *const crew = crew_new(1, 3);
    cr_assert(crew_do(crew, work, NULL));
    await_begun(1);
    cr_assert(crew_do(crew, work, NULL));
    cr_assert(crew_do(crew, work, NULL));
    cr_assert_not(crew_stop(crew, CLOCK_MS_US), "one is still at work");
    cr_assert_not(crew_do(crew, work, NULL), "it is ending");
    let_end(1);
    cr_assert(crew_stop(crew, LONG_US));
    cr_assert_eq(done, 1);
    cr_assert_eq(dropped, 2);
}

Test(http_crew, one_without_work_ends_at_once)
{
    cr_assert(crew_stop(crew_new(4, 4), 0));
    cr_assert(crew_stop(NULL, 0));
}

static void *
look_at_signals(void *context)
{
    sigset_t blocked;
    bool *const all = context;
    (void)pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    *all = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGHUP) == 1;
    return NULL;
}

Test(http_crew, its_threads_take_no_signals)
{
    pthread_t thread;
    bool all = false;
    cr_assert(crew_thread(&thread, look_at_signals, &all));
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert(all);
}
