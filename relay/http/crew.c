#include "relay/http/crew.h"

#include <signal.h>

#include "base/clock.h"
#include "base/memory.h"

#define STACK_BYTES ((size_t)512 * 1024)

struct job {
    void (*work)(void *context, bool ending);
    void *context;
};

struct crew {
    pthread_mutex_t mutex;
    pthread_cond_t change; /* a job came, or a thread ended */
    struct job *jobs;      /* a ring */
    unsigned jobs_max;
    unsigned first;
    unsigned waiting;
    pthread_t *threads;
    unsigned threads_max;
    unsigned threads_count; /* started */
    unsigned threads_idle;
    unsigned threads_ended;
    bool ending;
};

bool
crew_thread(pthread_t *ret_thread, void *(*work)(void *context), void *context)
{
    sigset_t all;
    pthread_attr_t attributes;
    (void)sigfillset(&all); /* cannot fail */
    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES); /* cannot fail with valid values */
    (void)pthread_attr_setsigmask_np(&attributes, &all);       /* fails without memory */
    const bool good = pthread_create(ret_thread, &attributes, work, context) == 0;
    (void)pthread_attr_destroy(&attributes); /* cannot fail */
    return good;
}

static struct job
take_job(struct crew *crew)
{
    const struct job job = crew->jobs[crew->first];
    crew->first = (crew->first + 1) % crew->jobs_max;
    crew->waiting--;
    return job;
}

static void *
run(void *context)
{
    struct crew *const crew = context;
    (void)pthread_mutex_lock(&crew->mutex); /* cannot fail: it is ours, and never taken twice */
    for (;;) {
        while (crew->waiting == 0 && !crew->ending) {
            crew->threads_idle++;
            (void)pthread_cond_wait(&crew->change, &crew->mutex); /* as above */
            crew->threads_idle--;
        }
        if (crew->waiting == 0) {
            break;
        }
        const struct job job = take_job(crew);
        const bool ending = crew->ending;
        (void)pthread_mutex_unlock(&crew->mutex); /* as above */
        job.work(job.context, ending);
        (void)pthread_mutex_lock(&crew->mutex); /* as above */
    }
    crew->threads_ended++;
    (void)pthread_cond_broadcast(&crew->change); /* cannot fail */
    (void)pthread_mutex_unlock(&crew->mutex);    /* as above */
    return NULL;
}

struct crew *
crew_new(unsigned threads_max, unsigned jobs_max)
{
    struct crew *const crew = memory_array(1, sizeof(*crew));
    pthread_condattr_t monotonic;
    crew->threads_max = threads_max;
    crew->threads = memory_array(threads_max, sizeof(*crew->threads));
    crew->jobs_max = jobs_max;
    crew->jobs = memory_array(jobs_max, sizeof(*crew->jobs));
    (void)pthread_condattr_init(&monotonic); /* these cannot fail on Linux with valid values */
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&crew->mutex, NULL);
    (void)pthread_cond_init(&crew->change, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return crew;
}

/* A thread for one more job, if all are busy and there may be another. False: nobody could do it. */
static bool
find_thread(struct crew *crew)
{
    if (crew->threads_idle <= crew->waiting && crew->threads_count < crew->threads_max &&
        crew_thread(&crew->threads[crew->threads_count], run, crew)) {
        crew->threads_count++;
    }
    return crew->threads_count > 0;
}

bool
crew_do(struct crew *crew, void (*work)(void *context, bool ending), void *context)
{
    (void)pthread_mutex_lock(&crew->mutex); /* as above */
    const bool good = !crew->ending && crew->waiting < crew->jobs_max && find_thread(crew);
    if (good) {
        crew->jobs[(crew->first + crew->waiting) % crew->jobs_max] = (struct job){work, context};
        crew->waiting++;
        (void)pthread_cond_signal(&crew->change); /* as above */
    }
    (void)pthread_mutex_unlock(&crew->mutex); /* as above */
    return good;
}

static struct timespec
monotonic_after(uint64_t us)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at); /* cannot fail with this clock */
    const uint64_t ns = (uint64_t)at.tv_nsec + us % CLOCK_S_US * 1000;
    at.tv_sec += (time_t)(us / CLOCK_S_US + ns / 1000000000);
    at.tv_nsec = (long)(ns % 1000000000);
    return at;
}

static void
crew_free(struct crew *crew)
{
    for (unsigned i = 0; i < crew->threads_count; i++) {
        (void)pthread_join(crew->threads[i], NULL); /* cannot fail: it is ours, and joined once */
    }
    (void)pthread_cond_destroy(&crew->change); /* these cannot fail: nobody uses them */
    (void)pthread_mutex_destroy(&crew->mutex);
    memory_free(crew->threads);
    memory_free(crew->jobs);
    memory_free(crew);
}

bool
crew_stop(struct crew *crew, uint64_t patience_us)
{
    int waited = 0;
    if (crew == NULL) {
        return true;
    }
    const struct timespec until = monotonic_after(patience_us);
    (void)pthread_mutex_lock(&crew->mutex); /* as above */
    crew->ending = true;
    (void)pthread_cond_broadcast(&crew->change); /* as above */
    while (crew->threads_ended < crew->threads_count && waited == 0) {
        waited = pthread_cond_timedwait(&crew->change, &crew->mutex, &until);
    }
    const bool ended = crew->threads_ended == crew->threads_count;
    (void)pthread_mutex_unlock(&crew->mutex); /* as above */
    if (ended) {
        crew_free(crew);
    }
    return ended;
}
