#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "consumers/runner_private.h"

bool
runner_broker_init(struct inbox_runner *runner, struct error *reterr)
{
    struct runner_broker *broker = &runner->broker;
    const struct inbox_runner_options *options = &runner->options;
    struct session_options session = {.endpoint = &runner->endpoint,
                                      .password = options->broker_password,
                                      .connection_name = options->consumer,
                                      .heartbeat_s = (uint16_t)options->heartbeat_s,
                                      .unread_max = SIZE_MAX}; /* the prefetch is the bound */
    *broker = (struct runner_broker){.state = BROKER_DOWN};
    backoff_init(&broker->backoff, options->retry_initial_ms * CLOCK_MS_US,
                 options->retry_max_ms * CLOCK_MS_US);
    broker->session = session_new(&session, reterr);
    return broker->session != NULL;
}

void
runner_broker_done(struct runner_broker *broker)
{
    session_free(broker->session);
    *broker = (struct runner_broker){0};
}

/* The connection is of no more use. The broker gives what was in hand to the next consumer, which
 * is this one as a rule. `detail` may belong to the connection. */
static void
lose(struct inbox_runner *runner, uint64_t now_us, const char *why, struct span detail)
{
    struct runner_broker *broker = &runner->broker;
    if (broker->state == BROKER_OPENING || broker->state == BROKER_CONSUMING) {
        uint64_t wait_us = backoff_next_us(&broker->backoff, &runner->window.random);
        broker->retry_us = now_us + wait_us;
        runner_count(runner, COUNT_BROKER_OUTAGES, 1);
        runner_report(runner, INBOX_REPORT_WARNING, "broker_lost", "%s%.*s; next try in %lu ms",
                      why, (int)detail.size, detail.size > 0 ? (const char *)detail.data : "",
                      (unsigned long)(wait_us / CLOCK_MS_US));
    }
    session_abort(broker->session);
    runner_window_clear(&runner->window);
    broker->state = BROKER_DOWN;
}

/* What cannot be told from its duplicate cannot be applied once. */
static bool
has_usable_id(const struct rabbit_message *message)
{
    return message->message_id.size > 0 &&
           utf8_is_text(message->message_id.data, message->message_id.size);
}

static void
refuse_nameless(struct inbox_runner *runner, const struct rabbit_event *event, uint64_t now_us)
{
    const struct rabbit_message *message = &event->message;
    if (!runner_window_add_refused(&runner->window, event->tag)) {
        lose(runner, now_us, "more messages than the prefetch", (struct span){0});
        return;
    }
    runner_count(runner, COUNT_REJECTED, 1);
    runner_report(
        runner, INBOX_REPORT_ERROR, "message_without_id",
        "a message of queue %s (exchange %.*s, routing key %.*s) has %s: its duplicates cannot be "
        "recognised, "
        "so it is rejected",
        runner->options.queue, (int)message->exchange.size, (const char *)message->exchange.data,
        (int)message->routing_key.size, (const char *)message->routing_key.data,
        message->message_id.size == 0 ? "no message-id" : "a message-id that is not UTF-8 text");
}

static void
take_delivery(struct inbox_runner *runner, const struct rabbit_event *event, uint64_t now_us)
{
    if (runner->broker.state != BROKER_CONSUMING) {
        return; /* came while the consumer was being cancelled: goes back to the queue */
    }
    runner_count(runner, COUNT_DELIVERED, 1);
    if (!has_usable_id(&event->message)) {
        refuse_nameless(runner, event, now_us);
        return;
    }
    struct runner_entry *entry = runner_window_add(&runner->window, event->tag, 0, now_us);
    if (entry == NULL) {
        lose(runner, now_us, "more messages than the prefetch", (struct span){0});
        return;
    }
    struct runner_delivery *delivery = entry->item;
    if (!runner_delivery_set(delivery, event)) {
        lose(runner, now_us, "no memory for a message", (struct span){0});
        return;
    }
    entry->key = delivery->key_hash;
}

static void
take_event(struct inbox_runner *runner, const struct rabbit_event *event, uint64_t now_us)
{
    struct runner_broker *broker = &runner->broker;
    struct rabbit *rabbit = session_rabbit(broker->session);
    switch (event->type) {
    case RABBIT_OPENED:
        rabbit_channel_open(rabbit, CHANNEL, false);
        break;
    case RABBIT_CHANNEL_OPENED:
        rabbit_qos(rabbit, CHANNEL, (uint16_t)runner->options.prefetch);
        rabbit_consume(rabbit, CHANNEL, runner->options.queue, CONSUMER_TAG);
        break;
    case RABBIT_CONSUMING:
        broker->state = BROKER_CONSUMING;
        backoff_reset(&broker->backoff);
        runner_report(runner, INBOX_REPORT_INFO, "consuming", "queue %s at %s",
                      runner->options.queue, session_peer(broker->session));
        break;
    case RABBIT_DELIVERED:
        take_delivery(runner, event, now_us);
        break;
    case RABBIT_CANCELLED:
        if (broker->state == BROKER_CANCELLING) {
            broker->state = BROKER_CLOSING;
            rabbit_close(rabbit);
        } else {
            lose(runner, now_us, "the broker ended the consumer: was the queue deleted?",
                 (struct span){0});
        }
        break;
    case RABBIT_CHANNEL_CLOSED:
        lose(runner, now_us, "the broker closed the channel: ", event->text);
        break;
    case RABBIT_CLOSED:
        lose(runner, now_us, "", (struct span){event->error.text, strlen(event->error.text)});
        break;
    case RABBIT_CONFIRMED:
    case RABBIT_NACKED:
    case RABBIT_RETURNED:
    case RABBIT_BLOCKED: /* concerns publishers */
    case RABBIT_UNBLOCKED:
    case RABBIT_DONE:
        break;
    }
}

static void
take_events(struct inbox_runner *runner, uint64_t now_us)
{
    struct rabbit_event event;
    while (runner->broker.state != BROKER_DOWN && session_next(runner->broker.session, &event)) {
        take_event(runner, &event, now_us);
    }
}

static void
send_settlements(struct inbox_runner *runner)
{
    const struct runner_settlement *settlements;
    size_t count = runner_window_settle(&runner->window, &settlements);
    struct rabbit *rabbit = session_rabbit(runner->broker.session);
    for (size_t i = 0; i < count; i++) {
        if (settlements[i].refuse) {
            rabbit_nack(rabbit, CHANNEL, settlements[i].tag, false, false);
        } else {
            rabbit_ack(rabbit, CHANNEL, settlements[i].tag, settlements[i].multiple);
        }
    }
}

void
runner_broker_turn(struct inbox_runner *runner, uint64_t now_us)
{
    struct runner_broker *broker = &runner->broker;
    if (broker->state == BROKER_DOWN && now_us >= broker->retry_us) {
        broker->state = BROKER_OPENING;
        session_open(broker->session, now_us);
    }
    /* Events first: they may say that the channel is closed, and a closed channel takes no ack. */
    take_events(runner, now_us);
    if (broker->state == BROKER_CONSUMING) {
        send_settlements(runner);
        session_flush(broker->session, now_us);
    }
}

void
runner_broker_wait(struct inbox_runner *runner, bool heed_stop, uint64_t until_us)
{
    struct runner_broker *broker = &runner->broker;
    uint64_t deadline_us =
        broker->state == BROKER_DOWN ? broker->retry_us : session_deadline_us(broker->session);
    if (until_us < deadline_us) {
        deadline_us = until_us;
    }
    struct pollfd descriptors[2] = {
        {.fd = heed_stop ? runner->stop : -1, .events = POLLIN},
        {.fd = session_fd(broker->session), .events = session_poll_events(broker->session)},
    };
    (void)poll(descriptors, 2, clock_poll_timeout_ms(clock_monotonic_us(), deadline_us));
    session_process(broker->session, descriptors[1].revents, clock_monotonic_us());
}

void
runner_broker_drain(struct inbox_runner *runner, uint64_t deadline_us)
{
    struct runner_broker *broker = &runner->broker;
    uint64_t now_us = clock_monotonic_us();
    if (broker->state == BROKER_CONSUMING) {
        broker->state = BROKER_CANCELLING;
        rabbit_cancel(session_rabbit(broker->session), CHANNEL, CONSUMER_TAG);
        session_flush(broker->session, now_us);
        while (broker->state != BROKER_DOWN && now_us < deadline_us) {
            runner_broker_wait(runner, false, deadline_us);
            now_us = clock_monotonic_us();
            take_events(runner, now_us);
        }
    }
    session_abort(broker->session);
    runner_window_clear(&runner->window);
    broker->state = BROKER_DOWN;
    broker->retry_us = 0;
    backoff_reset(&broker->backoff);
}
