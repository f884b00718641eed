#include "relay/postgres/source.h"

#include <assert.h>
#include <poll.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/postgres/source_private.h"

#define RECONNECT_INITIAL_US (100 * CLOCK_MS_US)
#define RECONNECT_MAX_US (5 * CLOCK_S_US)
#define RECONNECT_CONFIG_INITIAL_US (5 * CLOCK_S_US)
#define RECONNECT_CONFIG_MAX_US (30 * CLOCK_S_US)
/* 12 bytes for each id: room for more ids than any window has. */
#define ARRAY_KEEP_BYTES ((size_t)256 << 10)
#define ARRAY_MAX_BYTES ((size_t)64 << 20)
#define EMITTED_MAX_BYTES ((size_t)1 << 30) /* a batch, and one message of any size */

static struct source_postgres *
self_of(struct source *source)
{
    return (struct source_postgres *)source; /* `source` is its first member */
}

static const struct source_postgres *
const_self_of(const struct source *source)
{
    return (const struct source_postgres *)source;
}

struct source_event *
pg_event_push(struct source_postgres *self, enum source_event_type type)
{
    return source_events_push(&self->events, type, self->lease_until_us);
}

void
pg_event_alive(struct source_postgres *self)
{
    source_events_alive(&self->events, self->lease_until_us);
}

static bool
next(struct source *source, struct source_event *ret_event)
{
    return source_events_take(&self_of(source)->events, ret_event);
}

static int
session_fd(const struct source_postgres *self)
{
    if (self->state == PG_ASKING) {
        return password_fd(&self->password);
    }
    return self->connection != NULL ? PQsocket(self->connection) : pg_hosts_fd(&self->hosts);
}

static short
session_poll_events(const struct source_postgres *self)
{
    if (self->state == PG_CONNECTING || self->state == PG_LOOKING_UP || self->state == PG_ASKING) {
        return pg_connect_poll_events(self);
    }
    return self->wants_write ? POLLIN | POLLOUT : POLLIN;
}

enum { POLL_SESSION, POLL_TAIL };

static void
polls(const struct source *source, struct pollfd *ret_polls)
{
    const struct source_postgres *self = const_self_of(source);
    ret_polls[POLL_SESSION] =
        (struct pollfd){.fd = session_fd(self), .events = session_poll_events(self)};
    if (self->pool.second != NULL) { /* only before the ownership, when the log is not read yet */
        pg_pool_poll(self, &ret_polls[POLL_TAIL]);
    } else {
        pg_tail_poll(self, &ret_polls[POLL_TAIL]);
    }
}

/* A ping is sent when nothing was sent for a third of the lease, also while answers are awaited: a server that has
 * written a large answer into its socket is idle, and its timeout runs, long before all of the answer has arrived here. */
static uint64_t
ping_deadline_us(const struct source_postgres *self)
{
    return self->request_count < PG_REQUESTS_PINGED
               ? self->sent_us + source_ping_after_us(self->config->takeover_us)
               : CLOCK_NEVER_US;
}

static uint64_t
deadline_us(const struct source *source)
{
    const struct source_postgres *self = const_self_of(source);
    if (self->events.count > 0) { /* told by a request */
        return 0;
    }
    switch (self->state) {
    case PG_DOWN:
        return self->retry_us;
    case PG_ASKING:
        return CLOCK_NEVER_US; /* the command has a limit of its own */
    case PG_LOOKING_UP:
    case PG_CONNECTING:
        return self->connect_deadline_us;
    case PG_SETTING_UP:
        return self->pool.second == NULL
                   ? pg_request_deadline_us(self)
                   : clock_earlier_us(pg_request_deadline_us(self), self->pool.deadline_us);
    case PG_STANDBY:
        return clock_earlier_us(pg_request_deadline_us(self), self->retry_us);
    case PG_OWNED:
        return clock_earlier_us(
            clock_earlier_us(pg_request_deadline_us(self), ping_deadline_us(self)),
            pg_tail_deadline_us(self));
    }
    assert(false);
    return 0;
}

static void
lost_by_time(struct source_postgres *self, uint64_t now_us)
{
    struct error error;
    pg_error_set_silent(self, now_us, &error);
    pg_session_lost(self, &error, now_us);
}

/* Does what is due after the received answers were handled. */
static void
keep_time(struct source_postgres *self, uint64_t now_us)
{
    if (now_us >= pg_request_deadline_us(self)) {
        lost_by_time(self, now_us);
    } else if (self->state == PG_STANDBY && now_us >= self->retry_us) {
        pg_session_own(self, now_us);
    } else if (self->state == PG_OWNED && now_us >= ping_deadline_us(self)) {
        pg_request_end(self, PG_REQUEST_PING, now_us); /* only a sync */
    }
}

static void
serve(struct source_postgres *self, short revents, uint64_t now_us)
{
    if (revents != 0) {
        self->heard_us = now_us;
    }
    if ((revents & ~POLLOUT) != 0) {
        pg_request_receive(self, now_us);
    }
    if (self->connection != NULL && self->wants_write && !pg_request_flush(self, now_us)) {
        return;
    }
    if (self->connection != NULL) {
        keep_time(self, now_us);
    }
}

static void
process_session(struct source_postgres *self, short revents, uint64_t now_us)
{
    switch (self->state) {
    case PG_DOWN:
        if (now_us >= self->retry_us) {
            pg_connect_start(self, now_us);
        }
        break;
    case PG_ASKING:
        pg_connect_ask(self, revents, now_us);
        break;
    case PG_LOOKING_UP:
        pg_connect_look_up(self, revents, now_us);
        break;
    case PG_CONNECTING:
        pg_connect_poll(self, revents, now_us);
        break;
    case PG_SETTING_UP:
    case PG_STANDBY:
    case PG_OWNED:
        serve(self, revents, now_us);
        break;
    }
}

static void
process(struct source *source, const struct pollfd *ready, uint64_t now_us)
{
    struct source_postgres *self = self_of(source);
    if (source_events_have_room(&self->events)) { /* if not, take the events first */
        if (self->state == PG_SETTING_UP) {
            pg_pool_process(self, ready[POLL_TAIL].revents, now_us);
        }
        process_session(self, ready[POLL_SESSION].revents, now_us);
        if (self->state == PG_OWNED) {
            pg_tail_process(self, ready[POLL_TAIL].revents, now_us);
        }
    }
}

/* A call between a loss and the taking of its event finds no connection and does nothing: the event is its answer. */
static void
fetch(struct source *source, const struct fetch *what, uint64_t now_us)
{
    struct source_postgres *self = self_of(source);
    if (self->state == PG_OWNED) {
        pg_fetch_ask(self, what, now_us);
    }
}

static void
settle(struct source *source, const int64_t *ids, size_t count, uint64_t now_us)
{
    struct source_postgres *self = self_of(source);
    if (self->state == PG_OWNED) {
        pg_settle_ask(self, ids, count, now_us);
    }
}

static void
watermark(struct source *source, uint64_t now_us)
{
    struct source_postgres *self = self_of(source);
    if (self->state == PG_OWNED) {
        pg_session_watermark(self, now_us);
    }
}

static void
hold(struct source *source, const struct hold *holds, size_t count, uint64_t now_us)
{
    struct source_postgres *self = self_of(source);
    if (self->state == PG_OWNED) {
        pg_held_hold(self, holds, count, now_us);
    }
}

static void
release(struct source *source, const struct release *what, uint64_t now_us)
{
    struct source_postgres *self = self_of(source);
    if (self->state == PG_OWNED) {
        pg_held_release(self, what, now_us);
    }
}

static void
heads(struct source *source, uint64_t now_us)
{
    struct source_postgres *self = self_of(source);
    if (self->state == PG_OWNED) {
        pg_held_heads(self, now_us);
    }
}

static void
wake(struct source *source, uint32_t rows_max, uint64_t now_us)
{
    struct source_postgres *self = self_of(source);
    if (self->state == PG_OWNED) {
        pg_held_wake(self, rows_max, now_us);
    }
}

static void
status(struct source *source, const struct source_status *what, uint64_t now_us)
{
    struct source_postgres *self = self_of(source);
    if (self->state == PG_OWNED) {
        pg_status_ask(self, what, now_us);
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
    struct source_postgres *self = self_of(source);
    if (self->state == PG_OWNED) {
        pg_session_rival(self, now_us);
    }
}

static void
yield(struct source *source, uint64_t now_us)
{
    struct source_postgres *self = self_of(source);
    if (self->state == PG_OWNED) {
        pg_session_yield(self, now_us);
    }
}

static void
tail_begin(struct source *source, uint64_t position, uint64_t now_us)
{
    struct source_postgres *self = self_of(source);
    if (self->state == PG_OWNED) {
        pg_tail_begin(self, position, now_us);
    }
}

static void
tail_end(struct source *source, uint64_t now_us)
{
    struct source_postgres *self = self_of(source);
    (void)now_us; /* the safe position is sent in any case */
    if (self->state == PG_OWNED) {
        pg_tail_end(self);
    }
}

static void
tail_more(struct source *source, uint32_t rows_max, uint64_t bytes_max, uint64_t now_us)
{
    struct source_postgres *self = self_of(source);
    (void)now_us; /* the log is read in the next turn */
    if (self->state == PG_OWNED) {
        pg_tail_more(self, rows_max, bytes_max);
    }
}

static void
tail_safe(struct source *source, uint64_t position, uint64_t now_us)
{
    struct source_postgres *self = self_of(source);
    (void)now_us; /* sent when it is due */
    if (self->state == PG_OWNED) {
        pg_tail_safe(self, position);
    }
}

/* Calls act() for each buffer of parameters. */
static void
each_buffer(struct source_postgres *self, void (*act)(struct buffer *buffer))
{
    act(&self->fetch.ids);
    act(&self->fetch.unread_ids);
    act(&self->fetch.unread_reasons);
    act(&self->present_ids);
    act(&self->settle.parameter);
    act(&self->release.ids);
    act(&self->release.keys);
    act(&self->tail.emitted.contents);
    for (size_t i = 0; i < PG_HOLD_ARRAYS; i++) {
        act(&self->hold.arrays[i]);
    }
}

static void
init_buffer(struct buffer *buffer)
{
    buffer_init(buffer, ARRAY_KEEP_BYTES, ARRAY_MAX_BYTES);
}

/* The server ends the ownership when it reads the message by which PQfinish closes the session. */
static void
free_source(struct source *source)
{
    struct source_postgres *self = self_of(source);
    pg_tail_stop(self); /* first, as it must end before the ownership */
    pg_pool_end(self);
    if (self->state == PG_OWNED) {
        pg_session_hand_over(self);
    }
    PQfinish(self->connection);
    pg_connect_forget(self);
    source_events_done(&self->events);
    pg_hosts_done(&self->hosts);
    watermark_done(&self->watermark);
    each_buffer(self, buffer_done);
    pg_held_lost(self);
    pg_fetch_present_done(self);
    memory_free(self);
}

static const struct source_ops postgres_ops = {
    .free = free_source,
    .polls = polls,
    .deadline_us = deadline_us,
    .process = process,
    .next = next,
    .fetch = fetch,
    .settle = settle,
    .watermark = watermark,
    .hold = hold,
    .release = release,
    .heads = heads,
    .wake = wake,
    .status = status,
    .fit = fit,
    .rival = rival,
    .yield = yield,
    .tail_begin = tail_begin,
    .tail_end = tail_end,
    .tail_more = tail_more,
    .tail_safe = tail_safe,
};

bool
source_postgres_new(const struct source_config *config, struct source **ret_source,
                    struct error *reterr)
{
    struct source_postgres *self = memory_array(1, sizeof(*self));
    if (!pg_hosts_init(&self->hosts, config->dsn, reterr)) {
        pg_hosts_done(&self->hosts);
        memory_free(self);
        return error_prefix(reterr, "source \"%s\"", config->name);
    }
    self->source.ops = &postgres_ops;
    self->config = config;
    self->state = PG_DOWN;
    random_seed(&self->random, random_fresh_seed());
    backoff_init(&self->backoff, RECONNECT_INITIAL_US, RECONNECT_MAX_US);
    backoff_init(&self->backoff_config, RECONNECT_CONFIG_INITIAL_US, RECONNECT_CONFIG_MAX_US);
    self->created_us = clock_monotonic_us();
    each_buffer(self, init_buffer);
    self->tail.emitted.contents.max = EMITTED_MAX_BYTES;
    fetch_plan_init(&self->fetch.plan, config->takeover_us);
    watermark_init(&self->watermark);
    pg_tail_init(self);
    *ret_source = &self->source;
    return true;
}
