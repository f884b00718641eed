#include "relay/http/http.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/api/asker.h"
#include "relay/daemon/log.h"
#include "relay/http/crew.h"
#include "relay/http/facts.h"
#include "relay/http/route.h"
#include "relay/http/server.h"

/* Requests that ask a database: so many at a time, and so many more that wait. */
#define ASKING 8
#define WAITING 16
#define STOP_US (2 * CLOCK_S_US)

struct http {
    struct config *config; /* that with which it was started */
    struct http_context context;
    struct crew *crew;

    /* A thread that starts the server until it is started, and then ends the connections of slow clients. It sleeps while
     * there are no connections. */
    pthread_t keeper;
    pthread_mutex_t mutex;
    pthread_cond_t change;
    bool ending;
    bool woken;
    struct server *server; /* the keeper's, from the start on */
    char reason[400];      /* why it could not be started; logged once */
};

static void
wake(void *context)
{
    struct http *const http = context;
    (void)pthread_mutex_lock(&http->mutex); /* cannot fail: it is ours, and never taken twice */
    http->woken = true;
    (void)pthread_cond_signal(&http->change); /* cannot fail */
    (void)pthread_mutex_unlock(&http->mutex); /* as above */
}

static void
tell_failure(struct http *http, const struct error *error)
{
    if (strcmp(http->reason, error->text) != 0) {
        log_error(
            "http_failed",
            LOG_WORDS("nobody is answered over HTTP; messages are relayed all the same; trying "
                      "again every 10 s"),
            LOG_CAUSE(error));
        memcpy(http->reason, error->text, sizeof(http->reason));
    }
}

static void
start_server(struct http *http)
{
    struct error error;
    http->server =
        server_start(http->config->http, http_routes, &http->context, http->crew, &error);
    if (http->server == NULL) {
        tell_failure(http, &error);
        return;
    }
    server_on_connection(http->server, wake, http);
    log_info("http_listening", LOG_STR("address", http->config->http->listen),
             LOG_BOOL("tls", http->config->http->tls_cert != NULL));
}

/* What is due now, and when something is again. */
static uint64_t
keep(struct http *http)
{
    if (http->server == NULL) {
        start_server(http);
    }
    const uint64_t now_us = clock_monotonic_us();
    if (http->server == NULL) {
        return now_us + HTTP_AGAIN_US;
    }
    return clock_earlier_us(server_cut(http->server, now_us),
                            facts_ask(http->context.facts, now_us));
}

static struct timespec
monotonic_at(uint64_t us)
{
    struct timespec at;
    const uint64_t now_us = clock_monotonic_us();
    const uint64_t wait_us = us > now_us ? us - now_us : 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &at); /* cannot fail with this clock */
    const uint64_t ns = (uint64_t)at.tv_nsec + wait_us % CLOCK_S_US * 1000;
    at.tv_sec += (time_t)(wait_us / CLOCK_S_US + ns / 1000000000);
    at.tv_nsec = (long)(ns % 1000000000);
    return at;
}

/* Until then, or until it is woken. */
static void
sleep_until(struct http *http, uint64_t until_us)
{
    if (until_us == CLOCK_NEVER_US) {
        (void)pthread_cond_wait(&http->change, &http->mutex); /* as above */
        return;
    }
    const struct timespec at = monotonic_at(until_us);
    (void)pthread_cond_timedwait(&http->change, &http->mutex, &at); /* it is looked at again */
}

static void *
run(void *context)
{
    struct http *const http = context;
    (void)pthread_mutex_lock(&http->mutex); /* as above */
    while (!http->ending) {
        http->woken = false;
        (void)pthread_mutex_unlock(&http->mutex); /* as above */
        const uint64_t until_us = keep(http);
        (void)pthread_mutex_lock(&http->mutex); /* as above */
        if (!http->ending && !http->woken) {
            sleep_until(http, until_us);
        }
    }
    (void)pthread_mutex_unlock(&http->mutex); /* as above */
    return NULL;
}

static struct http *
http_new(struct config *config, struct board *board)
{
    struct http *const http = memory_array(1, sizeof(*http));
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic); /* these cannot fail on Linux with valid values */
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&http->mutex, NULL);
    (void)pthread_cond_init(&http->change, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    http->config = config;
    http->crew = crew_new(ASKING, WAITING);
    http->context = (struct http_context){
        .board = board, .facts = facts_new(board, wake, http), .askers = api_askers_new()};
    return http;
}

static void
http_free(struct http *http)
{
    (void)pthread_cond_destroy(&http->change); /* these cannot fail: nobody uses them */
    (void)pthread_mutex_destroy(&http->mutex);
    config_free(http->config);
    memory_free(http);
}

struct http *
http_start(struct board *board)
{
    struct config *const config = board_config(board);
    if (config == NULL || config->http == NULL) {
        config_free(config);
        return NULL;
    }
    struct http *const http = http_new(config, board);
    start_server(http); /* so that the log has it before anything else */
    if (!crew_thread(&http->keeper, run, http)) {
        memory_exhausted();
    }
    return http;
}

bool
http_stop(struct http *http)
{
    if (http == NULL) {
        return true;
    }
    (void)pthread_mutex_lock(&http->mutex); /* as above */
    http->ending = true;
    (void)pthread_cond_signal(&http->change); /* as above */
    (void)pthread_mutex_unlock(&http->mutex); /* as above */
    (void)pthread_join(http->keeper, NULL);   /* cannot fail: it is ours, and joined once */
    if (!crew_stop(http->crew, STOP_US) || !facts_stop(http->context.facts, STOP_US)) {
        return false;
    }
    if (!api_askers_free(http->context.askers)) {
        return false;
    }
    server_stop(http->server);
    http_free(http);
    return true;
}
