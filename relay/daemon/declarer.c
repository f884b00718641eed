#include "relay/daemon/declarer.h"

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
#include "relay/daemon/log.h"
#include "relay/daemon/outage.h"
#include "relay/rabbit/topology.h"

/* A problem that a person must repair is checked again, and logged again, at this interval. */
#define AGAIN_US (60 * CLOCK_S_US)

struct declarer {
    struct config *config;
    const struct broker_config *broker;
    pthread_t thread;
    int wake_fd; /* the caller's */
    int stop_fd;
    atomic_bool tried;
    atomic_bool finished;
    size_t made; /* in the current try */
    size_t there;
    size_t lacking;
};

static void
on_finding(void *context, enum topology_finding finding, const char *words)
{
    struct declarer *const self = context;
    const char *const broker = self->broker->name;
    switch (finding) {
    case TOPOLOGY_THERE:
        self->there++;
        break;
    case TOPOLOGY_MADE:
        self->made++;
        log_info("topology_made", LOG_WORDS(words), LOG_STR("broker", broker));
        break;
    case TOPOLOGY_UNSEEN:
        self->there++;
        log_info("topology_unseen", LOG_WORDS(words), LOG_STR("broker", broker));
        break;
    case TOPOLOGY_DIFFERS:
        self->there++;
        log_warning("topology_differs", LOG_WORDS(words), LOG_STR("broker", broker));
        break;
    case TOPOLOGY_LACKS:
        self->lacking++;
        log_error("topology_failed", LOG_WORDS(words), LOG_STR("broker", broker));
        break;
    }
}

/* False when the broker could not be asked about everything. */
static bool
declare(struct declarer *self, struct outage *outage)
{
    struct inquiry inquiry;
    self->made = self->there = self->lacking = 0;
    const bool asked =
        inquiry_open(&inquiry, self->broker, "outbox-relay declares", self->stop_fd) &&
        topology_work(&inquiry, self->config, self->broker, true, on_finding, self);
    if (asked) {
        (void)outage_over(outage); /* the next line says it */
        log_info("topology_declared", LOG_STR("broker", self->broker->name),
                 LOG_UINT("made", self->made), LOG_UINT("there", self->there),
                 LOG_UINT("lacking", self->lacking));
    } else if (outage_is_news(outage, inquiry.error.text, clock_monotonic_us())) {
        log_warning("topology_waits",
                    LOG_WORDS("exchanges and queues cannot be declared yet; trying again"),
                    LOG_STR("broker", self->broker->name), LOG_CAUSE(&inquiry.error));
    }
    inquiry_close(&inquiry);
    return asked;
}

static void *
work(void *context)
{
    struct declarer *const self = context;
    struct random random;
    struct backoff backoff;
    struct outage outage;
    random_seed(&random, random_fresh_seed());
    backoff_init(&backoff, self->broker->reconnect_initial_us, self->broker->reconnect_max_us);
    outage_init(&outage);
    for (bool end = false; !end;) {
        const bool asked = declare(self, &outage);
        atomic_store(&self->tried, true);
        wake_raise(self->wake_fd);
        if (asked && self->lacking == 0) {
            break;
        }
        end = wake_wait_us(self->stop_fd, asked ? AGAIN_US : backoff_next_us(&backoff, &random));
    }
    atomic_store(&self->finished, true);
    wake_raise(self->wake_fd);
    return NULL;
}

static void
free_declarer(struct declarer *self)
{
    (void)close(self->stop_fd); /* only an eventfd, or -1 */
    config_free(self->config);
    memory_free(self);
}

struct declarer *
declarer_start(struct config *config, const struct broker_config *broker, int wake_fd,
               struct error *reterr)
{
    struct declarer *const self = memory_array(1, sizeof(*self));
    *self = (struct declarer){
        .config = config_ref(config),
        .broker = broker,
        .wake_fd = wake_fd,
        .stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
    };
    int failed = self->stop_fd < 0 ? errno : 0;
    failed = failed != 0 ? failed : pthread_create(&self->thread, NULL, work, self);
    if (failed == 0) {
        return self;
    }
    (void)error_set(reterr, ERROR_CONFIG, "cannot start a thread: %s", strerror(failed));
    free_declarer(self);
    return NULL;
}

bool
declarer_tried(const struct declarer *declarer)
{
    return atomic_load(&declarer->tried);
}

bool
declarer_finished(const struct declarer *declarer)
{
    return atomic_load(&declarer->finished);
}

void
declarer_stop(struct declarer *declarer)
{
    wake_raise(declarer->stop_fd);
}

void
declarer_join(struct declarer *declarer)
{
    (void)pthread_join(declarer->thread, NULL); /* cannot fail with a thread of ours */
    free_declarer(declarer);
}
