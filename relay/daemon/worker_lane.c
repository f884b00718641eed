#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "relay/config/secret.h"
#include "relay/daemon/worker_private.h"

#define CLOSE_WAIT_US CLOCK_S_US
#define ARRIVED_LOOK_US (100 * CLOCK_MS_US)
#define NOT_SENT "the broker confirmed what was not sent"

void
worker_lane_log(const struct worker *worker, uint32_t lane, enum log_level level, const char *event,
                const char *words, const char *error)
{
    log_event(level, event, LOG_WORDS(words), LOG_INT("lane", lane),
              LOG_STR("peer", session_peer(worker->lanes[lane])), LOG_STR("error", error));
}

void
worker_lane_lost(struct worker *worker, uint32_t lane, enum log_level level, const char *why,
                 uint64_t now_us)
{
    worker->lane_unsent[lane] = false;
    pipeline_lane_lost(worker->pipeline, lane, now_us);
    if (outage_is_news(&worker->lane_outages[lane], why, now_us)) {
        worker_lane_log(worker, lane, level, "lane_lost",
                        "no connection to the broker; trying again", why);
    }
}

void
worker_lane_connect(struct worker *worker, uint32_t lane, uint64_t now_us)
{
    struct error error;
    char *password;
    if (!config_secret_read_any(worker->config->broker->password_file, &password, &error) ||
        !session_set_password(worker->lanes[lane], password, &error)) {
        worker_lane_lost(worker, lane, LOG_ERROR, error.text, now_us);
    } else {
        session_open(worker->lanes[lane], now_us);
    }
    config_secret_free(password);
}

static void
lane_distrust(struct worker *worker, uint32_t lane, const char *why, uint64_t now_us)
{
    session_abort(worker->lanes[lane]);
    worker_lane_lost(worker, lane, LOG_WARNING, why, now_us);
}

static const char *
text_of(struct span span, char *buffer, size_t size)
{
    (void)snprintf(buffer, size, "%.*s", (int)(span.size < size ? span.size : size - 1),
                   span.size > 0 ? (const char *)span.data : "");
    return buffer;
}

static void
lane_returned(struct worker *worker, uint32_t lane, const struct rabbit_event *event,
              uint64_t now_us)
{
    int64_t id;
    if (!publisher_returned_id(&event->message, &id)) {
        /* Its confirm is still to come, and must not count. */
        lane_distrust(worker, lane, "the broker returned a message without its id", now_us);
        return;
    }
    char exchange[256];
    char routing_key[256];
    char reason[600];
    (void)snprintf(reason, sizeof(reason),
                   "unroutable: exchange \"%s\" has no queue for routing key \"%s\"",
                   text_of(event->message.exchange, exchange, sizeof(exchange)),
                   text_of(event->message.routing_key, routing_key, sizeof(routing_key)));
    if (!pipeline_returned(worker->pipeline, lane, id, reason, now_us)) {
        lane_distrust(worker, lane, "the broker returned what was not sent", now_us);
    }
}

/* 0: the broker's words blame no exchange. */
static uint32_t
exchange_of(const char *reason)
{
    struct span exchange;
    return publisher_blamed_exchange(reason, &exchange) ? pipeline_exchange_hash(exchange) : 0;
}

static void
lane_channel_closed(struct worker *worker, uint32_t lane, const struct rabbit_event *event,
                    uint64_t now_us)
{
    char reason[256]; /* whole: it may name an exchange at its end */
    text_of(event->text, reason, sizeof(reason));
    log_debug("channel_closed", LOG_INT("lane", lane), LOG_STR("error", reason));
    pipeline_channel_closed(worker->pipeline, lane, reason, exchange_of(reason), now_us);
}

static void
lane_ready(struct worker *worker, uint32_t lane, uint64_t now_us)
{
    if (outage_over(&worker->lane_outages[lane])) {
        worker_lane_log(worker, lane, LOG_INFO, "lane_ready", "publishing", NULL);
    }
    pipeline_lane_ready(worker->pipeline, lane, now_us);
}

static void
lane_blocked(struct worker *worker, uint32_t lane, const struct rabbit_event *event,
             uint64_t now_us)
{
    char reason[240];
    worker_lane_log(worker, lane, LOG_WARNING, "lane_blocked",
                    "the broker takes no messages; waiting",
                    text_of(event->text, reason, sizeof(reason)));
    pipeline_lane_blocked(worker->pipeline, lane, true, now_us);
}

static void
take_lane_event(struct worker *worker, uint32_t lane, const struct rabbit_event *event,
                uint64_t now_us)
{
    struct pipeline *pipeline = worker->pipeline;
    switch (event->type) {
    case RABBIT_OPENED:
        if (session_passed_over(worker->lanes[lane]) != NULL) {
            worker_lane_log(worker, lane, LOG_WARNING, "host_passed_over",
                            "a host of the broker's uri cannot be used; another one is",
                            session_passed_over(worker->lanes[lane]));
        }
        pipeline_lane_connected(pipeline, lane, now_us);
        break;
    case RABBIT_CHANNEL_OPENED:
        lane_ready(worker, lane, now_us);
        break;
    case RABBIT_CONFIRMED:
        if (!pipeline_confirmed(pipeline, lane, event->tag, event->multiple, now_us)) {
            lane_distrust(worker, lane, NOT_SENT, now_us);
        }
        break;
    case RABBIT_NACKED:
        if (!pipeline_nacked(pipeline, lane, event->tag, event->multiple, now_us)) {
            lane_distrust(worker, lane, NOT_SENT, now_us);
        }
        break;
    case RABBIT_RETURNED:
        lane_returned(worker, lane, event, now_us);
        break;
    case RABBIT_CHANNEL_CLOSED:
        lane_channel_closed(worker, lane, event, now_us);
        break;
    case RABBIT_BLOCKED:
        lane_blocked(worker, lane, event, now_us);
        break;
    case RABBIT_UNBLOCKED:
        worker_lane_log(worker, lane, LOG_INFO, "lane_unblocked", "the broker takes messages again",
                        NULL);
        pipeline_lane_blocked(pipeline, lane, false, now_us);
        break;
    case RABBIT_CLOSED:
        if (rabbit_is_mistake(event->code)) {
            pipeline_lane_closed(pipeline, lane, event->error.text, now_us);
        } else if (event->code == 0) {
            pipeline_lane_cut(pipeline, lane, event->error.text, now_us);
        }
        worker_lane_lost(worker, lane, event->error.class == ERROR_CONFIG ? LOG_ERROR : LOG_WARNING,
                         event->error.text, now_us);
        break;
    case RABBIT_DELIVERED:
    case RABBIT_CONSUMING:
    case RABBIT_CANCELLED:
    case RABBIT_DONE:
        break; /* nothing was asked that is answered so */
    }
}

/* Not at each turn: it is about seconds. Without anything to do there is one when confirm_timeout is over. */
static void
look_what_arrived(struct worker *worker, uint32_t lane, uint64_t now_us)
{
    if (now_us < worker->lane_look_us[lane] + ARRIVED_LOOK_US) {
        return;
    }
    const struct session *session = worker->lanes[lane];
    worker->lane_look_us[lane] = now_us;
    pipeline_lane_arrived(worker->pipeline, lane, session_taken_bytes(session),
                          session_out_bytes(session), now_us);
}

void
worker_serve_lane(struct worker *worker, uint32_t lane, short revents, uint64_t now_us)
{
    struct rabbit_event event;
    look_what_arrived(worker, lane, now_us);
    session_process(worker->lanes[lane], revents, now_us);
    while (session_next(worker->lanes[lane], &event)) {
        take_lane_event(worker, lane, &event, now_us);
    }
    pipeline_lane_congested(worker->pipeline, lane,
                            session_queued_bytes(worker->lanes[lane]) > CONGESTED_BYTES);
}

void
worker_lane_close(struct session *session)
{
    const uint64_t deadline_us = clock_monotonic_us() + CLOSE_WAIT_US;
    struct rabbit *rabbit = session_rabbit(session);
    if (rabbit == NULL || !rabbit_is_open(rabbit)) {
        return;
    }
    rabbit_close(rabbit);
    for (uint64_t now_us = clock_monotonic_us(); now_us < deadline_us;
         now_us = clock_monotonic_us()) {
        struct rabbit_event event;
        session_flush(session, now_us);
        struct pollfd fd = {.fd = session_fd(session), .events = session_poll_events(session)};
        (void)poll(&fd, 1, clock_poll_timeout_ms(now_us, deadline_us)); /* the deadline bounds it */
        session_process(session, fd.revents, clock_monotonic_us());
        while (session_next(session, &event)) {
            if (event.type == RABBIT_CLOSED) {
                return;
            }
        }
    }
}
