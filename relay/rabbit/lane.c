#include "relay/rabbit/lane.h"

#include <poll.h>
#include <stdio.h>

#include "amqp/session.h"
#include "base/clock.h"
#include "base/memory.h"
#include "relay/config/password.h"
#include "relay/config/secret.h"
#include "relay/rabbit/endpoint.h"
#include "relay/rabbit/fence.h"
#include "relay/rabbit/publisher.h"

#define CHANNEL FENCE_CHANNEL_PUBLISH
#define CLOSE_WAIT_US CLOCK_S_US
#define NAME_MAX_BYTES 255 /* of AMQP's short strings */

struct broker_lane {
    const struct broker_config *broker;
    struct session *session;
    struct password password; /* asked for before the session is opened */
    bool asking;
    bool failed;        /* to be told: there is no password */
    struct error error; /* the reason */
    struct publisher publisher;
    struct fence fence;
    uint64_t now_us;           /* the latest time we were told */
    struct rabbit_event event; /* the last event; broker_lane_event points into it */
    char text[600];            /* two names, and words around them */
};

_Static_assert(BROKER_HOSTS_MAX == AMQP_HOSTS_MAX, "a host of a URI is one of a lane");

uint32_t
broker_hosts(const struct broker_config *broker)
{
    return broker->endpoint->amqp.host_count;
}

struct broker_lane *
broker_lane_new(const struct broker_config *broker, const char *source, struct error *reterr)
{
    char name[128];
    (void)snprintf(name, sizeof(name), "outbox-relay %s", source); /* cut is fine */
    const struct session_options options = {
        .endpoint = &broker->endpoint->amqp,
        .connection_name = name,
        .heartbeat_s = broker->heartbeat_s,
    };
    struct session *const session = session_new(&options, reterr);
    if (session == NULL) {
        return NULL;
    }
    struct broker_lane *const lane = memory_array(1, sizeof(*lane));
    lane->broker = broker;
    lane->session = session;
    publisher_init(&lane->publisher, source);
    return lane;
}

void
broker_lane_free(struct broker_lane *lane)
{
    if (lane != NULL) {
        password_end(&lane->password);
        session_free(lane->session);
        publisher_done(&lane->publisher);
        memory_free(lane);
    }
}

static bool
open_session(struct broker_lane *lane, const char *password, uint64_t now_us, struct error *reterr)
{
    const bool good = session_set_password(lane->session, password, reterr);
    if (good) {
        fence_reset(&lane->fence);
        session_open(lane->session, now_us);
    }
    return good;
}

/* Takes the password over. */
static bool
go_on(struct broker_lane *lane, enum password_state state, char *password, uint64_t now_us,
      struct error *reterr)
{
    lane->asking = state == PASSWORD_WAITS;
    const bool good =
        state == PASSWORD_HERE ? open_session(lane, password, now_us, reterr) : lane->asking;
    config_secret_free(password);
    return good;
}

void
broker_lane_begin_at(struct broker_lane *lane, uint32_t host, bool alone)
{
    session_begin_at(lane->session, host, alone);
}

bool
broker_lane_connect(struct broker_lane *lane, uint64_t now_us, struct error *reterr)
{
    char *password;
    const enum password_state state =
        password_begin(&lane->password, &lane->broker->password, &password, reterr);
    lane->failed = false;
    return go_on(lane, state, password, now_us, reterr);
}

static void
look_for_password(struct broker_lane *lane, uint64_t now_us)
{
    char *password;
    const enum password_state state = password_look(&lane->password, &password, &lane->error);
    lane->failed = !go_on(lane, state, password, now_us, &lane->error);
}

static void
stop_asking(struct broker_lane *lane)
{
    password_end(&lane->password);
    lane->asking = false;
    lane->failed = false;
}

void
broker_lane_open(struct broker_lane *lane, uint64_t now_us)
{
    struct rabbit *const rabbit = session_rabbit(lane->session);
    rabbit_channel_open(rabbit, CHANNEL, true);
    fence_begin(&lane->fence, rabbit, now_us);
}

void
broker_lane_fence(struct broker_lane *lane, const char *outbox, uint32_t number, uint64_t now_us)
{
    fence_want(&lane->fence, outbox, number, session_rabbit(lane->session), now_us);
}

void
broker_lane_unfence(struct broker_lane *lane, uint64_t now_us)
{
    fence_drop(&lane->fence, session_rabbit(lane->session), now_us);
}

bool
broker_lane_waits(const struct broker_lane *lane)
{
    return lane->fence.waits;
}

void
broker_lane_abort(struct broker_lane *lane)
{
    stop_asking(lane);
    fence_reset(&lane->fence);
    session_abort(lane->session);
}

void
broker_lane_begin_close(struct broker_lane *lane)
{
    struct rabbit *const rabbit = session_rabbit(lane->session);
    if (rabbit != NULL && rabbit_is_open(rabbit)) {
        fence_drop(&lane->fence, rabbit, lane->now_us);
        rabbit_close(rabbit);
    }
}

static bool
is_closed(struct session *session)
{
    struct rabbit_event event;
    while (session_next(session, &event)) {
        if (event.type == RABBIT_CLOSED) {
            return true;
        }
    }
    return false;
}

void
broker_lane_close(struct broker_lane *lane)
{
    const uint64_t deadline_us = clock_monotonic_us() + CLOSE_WAIT_US;
    struct session *const session = lane->session;
    stop_asking(lane);
    struct rabbit *const rabbit = session_rabbit(session);
    bool closed = rabbit == NULL || !rabbit_is_open(rabbit);
    if (!closed) {
        rabbit_close(rabbit);
    }
    for (uint64_t now_us = clock_monotonic_us(); !closed && now_us < deadline_us;
         now_us = clock_monotonic_us()) {
        session_flush(session, now_us);
        struct pollfd fd = {.fd = session_fd(session), .events = session_poll_events(session)};
        (void)poll(&fd, 1, clock_poll_timeout_ms(now_us, deadline_us)); /* the deadline bounds it */
        session_process(session, fd.revents, clock_monotonic_us());
        closed = is_closed(session);
    }
}

int
broker_lane_fd(const struct broker_lane *lane)
{
    return lane->asking ? password_fd(&lane->password) : session_fd(lane->session);
}

short
broker_lane_poll_events(const struct broker_lane *lane)
{
    return lane->asking ? POLLIN : session_poll_events(lane->session);
}

uint64_t
broker_lane_deadline_us(const struct broker_lane *lane)
{
    return lane->asking ? CLOCK_NEVER_US
                        : clock_earlier_us(session_deadline_us(lane->session),
                                           fence_deadline_us(&lane->fence));
}

void
broker_lane_process(struct broker_lane *lane, short revents, uint64_t now_us)
{
    lane->now_us = now_us;
    if (!lane->asking) {
        session_process(lane->session, revents, now_us);
        fence_tick(&lane->fence, session_rabbit(lane->session), now_us);
    } else if (revents != 0) {
        look_for_password(lane, now_us);
    }
}

void
broker_lane_flush(struct broker_lane *lane, uint64_t now_us)
{
    session_flush(lane->session, now_us);
}

size_t
broker_lane_queued_bytes(const struct broker_lane *lane)
{
    return session_queued_bytes(lane->session);
}

uint64_t
broker_lane_out_bytes(const struct broker_lane *lane)
{
    return session_out_bytes(lane->session);
}

uint64_t
broker_lane_taken_bytes(const struct broker_lane *lane)
{
    return session_taken_bytes(lane->session);
}

uint32_t
broker_lane_host(const struct broker_lane *lane)
{
    return session_host(lane->session);
}

const char *
broker_lane_peer(const struct broker_lane *lane)
{
    return session_peer(lane->session);
}

bool
broker_lane_publish(struct broker_lane *lane, const struct row *row, struct error *reterr)
{
    return publisher_publish(&lane->publisher, session_rabbit(lane->session), CHANNEL, row, reterr);
}

/* ---- what the broker says --------------------------------------------------------------------------------- */

static int
length_of(struct span span)
{
    return (int)(span.size < NAME_MAX_BYTES ? span.size : NAME_MAX_BYTES);
}

static const char *
bytes_of(struct span span)
{
    return span.size > 0 ? (const char *)span.data : "";
}

static void
take_text(struct broker_lane *lane, struct broker_lane_event *event)
{
    const struct span text = lane->event.text;
    (void)snprintf(lane->text, sizeof(lane->text), "%.*s", length_of(text),
                   bytes_of(text)); /* fits */
    event->text = lane->text;
}

/* A returned message without its id could be any message, and its confirm, which follows, must not count. */
static void
take_returned(struct broker_lane *lane, struct broker_lane_event *event)
{
    const struct rabbit_message *const message = &lane->event.message;
    if (!publisher_returned_id(message, &event->id)) {
        event->type = BROKER_LANE_STRANGE;
        event->text = "the broker returned a message without its id";
        return;
    }
    (void)snprintf(lane->text, sizeof(lane->text),
                   "unroutable: exchange \"%.*s\" has no queue for routing key \"%.*s\"",
                   length_of(message->exchange), bytes_of(message->exchange),
                   length_of(message->routing_key), bytes_of(message->routing_key)); /* fits */
    event->type = BROKER_LANE_RETURNED;
    event->text = lane->text;
}

static void
take_refused(struct broker_lane *lane, struct broker_lane_event *event)
{
    event->type = BROKER_LANE_REFUSED;
    take_text(lane, event); /* not cut: an exchange may be named at its end */
    if (!publisher_blamed_exchange(event->text, &event->exchange)) {
        event->exchange = (struct span){0};
    }
}

static enum broker_lane_event_type
end_of(const struct rabbit_event *event)
{
    return rabbit_is_mistake(event->code) ? BROKER_LANE_MISTAKEN
           : event->code == 0             ? BROKER_LANE_CUT
                                          : BROKER_LANE_LOST;
}

/* False if the event is not for a lane. */
static bool
translate(struct broker_lane *lane, struct broker_lane_event *event)
{
    const struct rabbit_event *const said = &lane->event;
    *event = (struct broker_lane_event){.tag = said->tag, .multiple = said->multiple};
    switch (said->type) {
    case RABBIT_OPENED:
        event->type = BROKER_LANE_CONNECTED;
        event->text = session_passed_over(lane->session);
        return true;
    case RABBIT_CHANNEL_OPENED:
        event->type = BROKER_LANE_READY;
        return true;
    case RABBIT_CONFIRMED:
        event->type = BROKER_LANE_CONFIRMED;
        return true;
    case RABBIT_NACKED:
        event->type = BROKER_LANE_NACKED;
        return true;
    case RABBIT_RETURNED:
        take_returned(lane, event);
        return true;
    case RABBIT_CHANNEL_CLOSED:
        take_refused(lane, event);
        return true;
    case RABBIT_BLOCKED:
        event->type = BROKER_LANE_BLOCKED;
        take_text(lane, event);
        return true;
    case RABBIT_UNBLOCKED:
        event->type = BROKER_LANE_UNBLOCKED;
        return true;
    case RABBIT_CLOSED:
        event->type = end_of(said);
        event->error = &said->error;
        return true;
    case RABBIT_DELIVERED:
    case RABBIT_CONSUMING:
    case RABBIT_CANCELLED:
    case RABBIT_DONE:
        break;
    }
    return false;
}

/* False if there is nothing to tell. */
static bool
tell_fence(struct broker_lane *lane, struct broker_lane_event *event)
{
    *event = (struct broker_lane_event){.type = BROKER_LANE_UNFENCED};
    const enum fence_trouble trouble = fence_tell(&lane->fence, &event->text);
    if (trouble == FENCE_REFUSED) {
        event->type = BROKER_LANE_FENCELESS;
    }
    return trouble != FENCE_FINE;
}

bool
broker_lane_next(struct broker_lane *lane, struct broker_lane_event *ret_event)
{
    if (lane->failed) {
        lane->failed = false;
        *ret_event = (struct broker_lane_event){.type = BROKER_LANE_LOST, .error = &lane->error};
        return true;
    }
    while (session_next(lane->session, &lane->event)) {
        if (!fence_take(&lane->fence, session_rabbit(lane->session), &lane->event, lane->now_us) &&
            translate(lane, ret_event)) {
            return true;
        }
    }
    return tell_fence(lane, ret_event);
}
