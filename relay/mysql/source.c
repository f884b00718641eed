#include "relay/mysql/source.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/mysql/source_private.h"

#define RECONNECT_INITIAL_US (100 * CLOCK_MS_US)
#define RECONNECT_MAX_US (5 * CLOCK_S_US)
#define RECONNECT_CONFIG_INITIAL_US (5 * CLOCK_S_US)
#define RECONNECT_CONFIG_MAX_US (30 * CLOCK_S_US)
/* For connecting to one host: the look-up of its name, and connect_timeout or its default. */
#define CONNECT_US (30 * CLOCK_S_US)
/* For the job that is being run at the end, and for the message that closes the session. */
#define GOODBYE_US (100 * CLOCK_MS_US)
/* If the server interrupts a statement while it sends rows, the session ends. So until the speed of the link is known,
 * no more is asked for than a link of 64 kbit/s carries within half of the usual lease. */
#define BYTES_AT_FIRST ((uint64_t)64 << 10)

static struct source_mysql *
self_of(struct source *source)
{
    return (struct source_mysql *)source; /* `source` is its first member */
}

static const struct source_mysql *
const_self_of(const struct source *source)
{
    return (const struct source_mysql *)source;
}

struct source_event *
my_event_push(struct source_mysql *self, enum source_event_type type)
{
    self->lease_told_us = self->lease_until_us;
    return source_events_push(&self->events, type, self->lease_until_us);
}

void
my_notice(struct source_mysql *self, enum error_class class, const char *format, ...)
{
    struct source_notice *notice = &my_event_push(self, SOURCE_NOTICE)->notice;
    va_list arguments;
    va_start(arguments, format);
    notice->error.class = class;
    (void)vsnprintf(notice->error.text, sizeof(notice->error.text), format,
                    arguments); /* cut is fine */
    va_end(arguments);
}

static bool
next(struct source *source, struct source_event *ret_event)
{
    return source_events_take(&self_of(source)->events, ret_event);
}

void
my_ask(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    self->asked_us = now_us;
    my_link_put(self->link, job);
}

enum { POLL_SESSION, POLL_TAIL };

static void
polls(const struct source *source, struct pollfd *ret_polls)
{
    const struct source_mysql *self = const_self_of(source);
    ret_polls[POLL_SESSION] =
        (struct pollfd){.fd = self->link != NULL ? my_link_fd(self->link) : -1, .events = POLLIN};
    my_tail_poll(self, &ret_polls[POLL_TAIL]);
}

/* ---- time ----------------------------------------------------------------------------------------------- */

/* When the wait for an answer is given up. Received bytes are a sign of life: over a slow link a batch may take
 * long. */
static uint64_t
answer_deadline_us(const struct source_mysql *self)
{
    const uint64_t since_us = self->link != NULL ? my_link_waits_since_us(self->link) : 0;
    if (since_us == 0) {
        return CLOCK_NEVER_US;
    }
    return self->state == MY_CONNECTING ? since_us + CONNECT_US
                                        : (since_us > self->heard_us ? since_us : self->heard_us) +
                                              self->config->takeover_us;
}

/* A ping is sent when no job was added for a third of the lease. While a job is out, a ping would only wait behind
 * it. */
static uint64_t
ping_deadline_us(const struct source_mysql *self)
{
    return self->ping_out ? CLOCK_NEVER_US
                          : self->asked_us + source_ping_after_us(self->config->takeover_us);
}

static uint64_t
deadline_us(const struct source *source)
{
    const struct source_mysql *self = const_self_of(source);
    if (self->events.count > 0) { /* told by a request */
        return 0;
    }
    switch (self->state) {
    case MY_DOWN:
        return self->retry_us;
    case MY_CONNECTING:
    case MY_SETTING_UP:
        return answer_deadline_us(self);
    case MY_STANDBY:
        return clock_earlier_us(answer_deadline_us(self), self->retry_us);
    case MY_OWNED:
        return clock_earlier_us(clock_earlier_us(answer_deadline_us(self), ping_deadline_us(self)),
                                my_tail_deadline_us(self));
    }
    assert(false);
    return 0;
}

/* True if the wait is over without a sign of life. */
static bool
is_silent(struct source_mysql *self, uint64_t now_us)
{
    if (now_us < answer_deadline_us(self)) {
        return false;
    }
    self->heard_us = my_link_heard_us(self->link, now_us);
    return now_us >= answer_deadline_us(self);
}

/* What TCP knows about the received data; empty for a socket that is not TCP. */
static void
describe_traffic(const struct source_mysql *self, uint64_t now_us, char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    if (self->heard_us > 0) {
        (void)snprintf(ret_text, size, "; the last bytes of this connection came %.1f s ago",
                       (double)(now_us - self->heard_us) / 1e6); /* fits */
    }
}

static void
lost_by_time(struct source_mysql *self, uint64_t now_us)
{
    struct error error;
    char traffic[80];
    const uint64_t sent_us = my_link_waits_since_us(self->link);
    const double waited_s = sent_us > 0 ? (double)(now_us - sent_us) / 1e6 : 0;
    describe_traffic(self, now_us, traffic, sizeof(traffic));
    if (self->state == MY_CONNECTING) {
        error_set(&error, ERROR_CONNECTION,
                  "connecting to the database took longer than %" PRIu64 " s",
                  CONNECT_US / CLOCK_S_US);
    } else {
        error_set(&error, ERROR_TRANSIENT,
                  "the database gave no answer for longer than takeover: it was asked %s %.1f s "
                  "ago%s",
                  my_link_words(self->link), waited_s, traffic);
    }
    my_source_lost(self, &error, now_us);
}

/* Does what is due after the received answers were handled. */
static void
keep_time(struct source_mysql *self, uint64_t now_us)
{
    if (is_silent(self, now_us)) {
        lost_by_time(self, now_us);
    } else if (self->state == MY_STANDBY && now_us >= self->retry_us) {
        my_source_own(self, now_us);
    } else if (self->state == MY_OWNED && now_us >= ping_deadline_us(self)) {
        my_source_ping(self, now_us);
    }
}

/* ---- answers -------------------------------------------------------------------------------------------- */

static void
renew_lease(struct source_mysql *self)
{
    const uint64_t answered_us = my_link_answered_us(self->link);
    if (self->state == MY_OWNED && answered_us > 0) {
        self->lease_until_us = answered_us + self->config->takeover_us;
    }
}

/* Adds SOURCE_ALIVE when a ping, or an answer within a long job, has renewed the lease. */
static void
tell_lease(struct source_mysql *self)
{
    if (self->state == MY_OWNED && self->owned_told &&
        self->lease_until_us > self->lease_told_us + self->config->takeover_us / 16) {
        my_event_push(self, SOURCE_ALIVE);
    }
}

static void
take_jobs(struct source_mysql *self, uint64_t now_us)
{
    struct my_job *job;
    while (self->link != NULL && (job = my_link_take(self->link)) != NULL) {
        renew_lease(self);
        if (!job->ok && job->broken) {
            my_source_ended(self, job->code, &job->error, now_us);
        } else {
            job->done(self, job, now_us);
        }
    }
    if (self->link != NULL) {
        renew_lease(self);
        tell_lease(self);
    }
}

static void
process(struct source *source, const struct pollfd *ready, uint64_t now_us)
{
    struct source_mysql *self = self_of(source);
    (void)ready; /* checking the queue costs less than knowing whether it has something */
    if (!source_events_have_room(&self->events)) {
        return; /* if not, take the events first */
    }
    if (self->state == MY_DOWN && now_us >= self->retry_us) {
        my_source_connect(self, now_us);
    }
    take_jobs(self, now_us);
    if (self->link != NULL) {
        keep_time(self, now_us);
    }
    if (self->state == MY_OWNED) {
        my_tail_process(self, now_us);
    }
}

/* ---- what is asked -------------------------------------------------------------------------------------- */

/* A call between a loss and the taking of its event finds no connection and does nothing: the event is its answer. */
static void
fetch(struct source *source, const struct fetch *what, uint64_t now_us)
{
    struct source_mysql *self = self_of(source);
    if (self->state == MY_OWNED) {
        my_fetch_ask(self, what, now_us);
    }
}

static void
settle(struct source *source, const int64_t *ids, size_t count, uint64_t now_us)
{
    struct source_mysql *self = self_of(source);
    if (self->state == MY_OWNED) {
        my_settle_ask(self, ids, count, now_us);
    }
}

static void
watermark(struct source *source, uint64_t now_us)
{
    struct source_mysql *self = self_of(source);
    if (self->state == MY_OWNED) {
        my_watermark_ask(self, now_us);
    }
}

static void
status(struct source *source, const struct source_status *what, uint64_t now_us)
{
    struct source_mysql *self = self_of(source);
    if (self->state == MY_OWNED) {
        my_status_ask(self, what, now_us);
    }
}

/* ---- the rest ------------------------------------------------------------------------------------------- */

static void
free_source(struct source *source)
{
    struct source_mysql *self = self_of(source);
    const struct error none = {.class = ERROR_CONFIG};
    my_tail_end(self); /* first, as it must end before the ownership */
    my_link_stop(self->link, GOODBYE_US);
    my_held_lost(self);
    my_fetch_lost(self, &none, true, 0);
    my_settle_lost(self);
    my_watermark_lost(self);
    my_tail_stop(self);
    my_hash_done(&self->fetch.hash);
    source_events_done(&self->events);
    memory_free(self);
}

static void
hold(struct source *source, const struct hold *holds, size_t count, uint64_t now_us)
{
    if (self_of(source)->state == MY_OWNED) {
        my_held_hold(self_of(source), holds, count, now_us);
    }
}

static void
release(struct source *source, const struct release *asked, uint64_t now_us)
{
    if (self_of(source)->state == MY_OWNED) {
        my_held_release(self_of(source), asked, now_us);
    }
}

static void
heads(struct source *source, uint64_t now_us)
{
    if (self_of(source)->state == MY_OWNED) {
        my_held_heads(self_of(source), now_us);
    }
}

static void
wake(struct source *source, uint32_t rows_max, uint64_t now_us)
{
    if (self_of(source)->state == MY_OWNED) {
        my_held_wake(self_of(source), rows_max, now_us);
    }
}

static void
fit(struct source *source, bool is_fit)
{
    self_of(source)->fit = is_fit; /* told with the next request for the ownership */
}

static void
rival(struct source *source, uint64_t now_us)
{
    struct source_mysql *self = self_of(source);
    if (self->state == MY_OWNED) {
        my_source_rival(self, now_us);
    }
}

static void
yield(struct source *source, uint64_t now_us)
{
    struct source_mysql *self = self_of(source);
    if (self->state == MY_OWNED) {
        my_source_yield(self, now_us);
    }
}

static void
tail_begin(struct source *source, log_position position, uint64_t now_us)
{
    struct source_mysql *self = self_of(source);
    if (self->state == MY_OWNED) {
        my_tail_begin(self, position, now_us);
    }
}

static void
tail_end(struct source *source, uint64_t now_us)
{
    (void)now_us; /* the server is not told */
    my_tail_end(self_of(source));
}

static void
tail_more(struct source *source, uint32_t rows_max, uint64_t bytes_max, uint64_t now_us)
{
    struct source_mysql *self = self_of(source);
    (void)now_us; /* another thread reads */
    if (self->state == MY_OWNED) {
        my_tail_more(self, rows_max, bytes_max);
    }
}

/* Nothing to do: the server itself decides how long it keeps its log. */
static void
tail_safe(struct source *source, log_position position, uint64_t now_us)
{
    (void)source;
    (void)position;
    (void)now_us;
}

static const struct source_ops mysql_ops = {
    .free = free_source,
    .polls = polls,
    .deadline_us = deadline_us,
    .process = process,
    .next = next,
    .tail_begin = tail_begin,
    .tail_end = tail_end,
    .tail_more = tail_more,
    .tail_safe = tail_safe,
    .hold = hold,
    .release = release,
    .heads = heads,
    .wake = wake,
    .fetch = fetch,
    .settle = settle,
    .watermark = watermark,
    .status = status,
    .fit = fit,
    .rival = rival,
    .yield = yield,
};

bool
source_mysql_new(const struct source_config *config, struct source **ret_source,
                 struct error *reterr)
{
    (void)reterr; /* the dsn was checked with the configuration */
    struct source_mysql *self = memory_array(1, sizeof(*self));
    self->source.ops = &mysql_ops;
    self->config = config;
    self->state = MY_DOWN;
    random_seed(&self->random, random_fresh_seed());
    backoff_init(&self->backoff, RECONNECT_INITIAL_US, RECONNECT_MAX_US);
    backoff_init(&self->backoff_config, RECONNECT_CONFIG_INITIAL_US, RECONNECT_CONFIG_MAX_US);
    self->created_us = clock_monotonic_us();
    fetch_plan_init(&self->fetch.plan, config->takeover_us);
    self->fetch.plan.bytes_cap = BYTES_AT_FIRST;
    my_hash_init(&self->fetch.hash);
    watermark_init(&self->watermark.mark);
    *ret_source = &self->source;
    return true;
}
