#include "relay/daemon/discoverer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/wake.h"
#include "relay/config/tenants.h"

/* After a failure it is asked again sooner than discover_interval has it. */
#define AGAIN_INITIAL_US CLOCK_S_US
#define AGAIN_MAX_US (30 * CLOCK_S_US)

struct discoverer {
    struct config *config;
    const struct source_config *template;
    pthread_t thread;
    int wake_fd; /* the caller's */
    int stop_fd;
    atomic_bool finished;
    pthread_mutex_t mutex; /* of what follows: an answer that was not taken yet */
    bool answered;
    bool good;
    struct database_names names;
    struct error error;
};

static void
lock(struct discoverer *self)
{
    (void)pthread_mutex_lock(&self->mutex); /* cannot fail: it is ours, and never taken twice */
}

static void
unlock(struct discoverer *self)
{
    (void)pthread_mutex_unlock(&self->mutex); /* as above */
}

static bool
ask(struct discoverer *self)
{
    struct database_names names = {.count = 0};
    struct error error = {.text = ""};
    const bool good =
        self->template->kind->discover(self->template, TENANTS_ROWS_MAX, &names, &error);
    if (!good) {
        database_names_done(&names);
    }
    lock(self);
    database_names_done(&self->names); /* of an older answer that nobody took */
    self->answered = true;
    self->good = good;
    self->names = names;
    self->error = error;
    unlock(self);
    wake_raise(self->wake_fd);
    return good;
}

static void *
work(void *context)
{
    struct discoverer *const self = context;
    const uint64_t interval_us = self->template->discover_interval_us;
    struct random random;
    struct backoff backoff;
    random_seed(&random, random_fresh_seed());
    backoff_init(&backoff, AGAIN_INITIAL_US, AGAIN_MAX_US);
    for (bool end = false; !end;) {
        uint64_t pause_us = interval_us;
        if (ask(self)) {
            backoff_reset(&backoff);
        } else {
            pause_us = clock_earlier_us(interval_us, backoff_next_us(&backoff, &random));
        }
        end = wake_wait_us(self->stop_fd, pause_us);
    }
    atomic_store(&self->finished, true);
    wake_raise(self->wake_fd);
    return NULL;
}

static void
free_discoverer(struct discoverer *self)
{
    (void)close(self->stop_fd);                /* only an eventfd, or -1 */
    (void)pthread_mutex_destroy(&self->mutex); /* nobody uses it */
    database_names_done(&self->names);
    config_free(self->config);
    memory_free(self);
}

struct discoverer *
discoverer_start(struct config *config, const struct source_template *template, int wake_fd,
                 struct error *reterr)
{
    struct discoverer *const self = memory_array(1, sizeof(*self));
    self->config = config_ref(config);
    self->template = &template->source;
    self->wake_fd = wake_fd;
    self->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)pthread_mutex_init(&self->mutex, NULL); /* cannot fail on Linux */
    int failed = self->stop_fd < 0 ? errno : 0;
    failed = failed != 0 ? failed : pthread_create(&self->thread, NULL, work, self);
    if (failed == 0) {
        return self;
    }
    (void)error_set(reterr, ERROR_CONFIG, "cannot start a thread: %s", strerror(failed));
    free_discoverer(self);
    return NULL;
}

bool
discoverer_take(struct discoverer *self, bool *ret_good, struct database_names *ret_names,
                struct error *ret_error)
{
    lock(self);
    const bool answered = self->answered;
    if (answered) {
        *ret_good = self->good;
        *ret_names = self->names;
        *ret_error = self->error;
        self->names = (struct database_names){.count = 0};
        self->answered = false;
    }
    unlock(self);
    return answered;
}

void
discoverer_stop(struct discoverer *discoverer)
{
    wake_raise(discoverer->stop_fd);
}

bool
discoverer_finished(const struct discoverer *discoverer)
{
    return atomic_load(&discoverer->finished);
}

void
discoverer_join(struct discoverer *discoverer)
{
    (void)pthread_join(discoverer->thread, NULL); /* cannot fail with a thread of ours */
    free_discoverer(discoverer);
}
