#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "consumers/runner_private.h"

/* A channel has one consumer at a time, of one of two kinds.
 *
 * The narrow one, with which each channel begins, has one message in hand. When a process dies, its messages in hand
 * return to the queue, and quorum queues count every return towards x-delivery-limit. Any redelivered message may be
 * the one that ended the process, so while such messages come, no other message is in hand that would be counted too.
 * Once the queue gives messages that had not been returned (it gives the returned ones first), the wide consumer takes
 * over, with `prefetch` in hand.
 *
 * The order of a key. Where one consumer is active and others wait (x-single-active-consumer), a cancelled one keeps
 * what it has in hand, and the next becomes active at once (rabbit_fifo.erl, cancel_consumer; 3.10 to 4.3). So a
 * consumer is cancelled only when everything that it has in hand is applied, and only when its prefetch is full, since
 * otherwise more could be on its way; acknowledging later does no harm. The alternative is to close the channel: this
 * returns what is in hand in order, and activates the next consumer afterwards (handle_down;
 * rabbit_amqqueue_process.erl, handle_ch_down). But what is returned goes behind what was returned before and not yet
 * taken again (return_one), so a narrow consumer avoids returning anything.
 *
 * The wide one has a priority, so that with RabbitMQ 4, and with classic queues, it is next whoever waits. Quorum
 * queues before 4 have no priority there, and another runner may become active. Then the wide one waits, and would be
 * the wrong one when its turn comes, so it becomes a narrow one again after WAITING_US. About the tags: of two
 * consumers of a channel that is gone, the one with the lower tag is returned first (maps:keys in handle_down). */
static const char narrow_tag[] = "inbox", wide_tag[] = "inbox-wide", nudge_tag[] = "inbox-nudge";
enum { NARROW = 1, WIDE_PRIORITY = 1, NUDGE_PRIORITY = -1, CLOSED_BY_US = 200 };
#define WAITING_US (5 * CLOCK_S_US)

/* If two messages that had not been returned come within this time, a wide consumer is worth while. */
#define SOON_US CLOCK_S_US

/* How long to wait for the database with messages in hand. After that, another consumer may have its turn. */
#define PATIENCE_US (15 * CLOCK_S_US)

/* For the broker's answer while the connection is closed. */
#define GOODBYE_US (5 * CLOCK_S_US)

bool
runner_broker_init(struct runner *runner, struct error *reterr)
{
    struct runner_broker *broker = &runner->broker;
    const struct runner_options *options = &runner->options;
    struct session_options session = {.endpoint = &runner->endpoint,
                                      .password = options->broker_password,
                                      .connection_name = options->consumer,
                                      .heartbeat_s = (uint16_t)options->heartbeat_s,
                                      .unread_max = SIZE_MAX}; /* the prefetch limits it */
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

/* The connection is unusable. The broker gives the messages in hand to the next consumer, which is this one as a rule.
 * `detail` may belong to the connection. */
static void
lose(struct runner *runner, uint64_t now_us, const char *why, struct span detail)
{
    struct runner_broker *broker = &runner->broker;
    if (broker->state != BROKER_DOWN && broker->state != BROKER_CLOSING) {
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
    broker->told = false;
    runner->ready = false;
}

/* A new channel begins with the narrow consumer. */
static void
begin_narrow(struct runner *runner)
{
    struct runner_broker *broker = &runner->broker;
    struct rabbit *rabbit = session_rabbit(broker->session);
    const bool only = runner->options.prefetch == NARROW;
    broker->wide = only;
    broker->widen = broker->waiting = false;
    broker->new_us = 0;
    runner->window.room = NARROW;
    rabbit_qos(rabbit, CHANNEL, NARROW);
    rabbit_consume(rabbit, CHANNEL, runner->options.queue, narrow_tag);
}

/* To be called when all messages in hand are applied, or must stay in hand; and there is only one, so that no other is
 * being delivered. It is acknowledged afterwards. */
static void
widen(struct runner *runner, uint64_t now_us)
{
    struct runner_broker *broker = &runner->broker;
    struct rabbit *rabbit = session_rabbit(broker->session);
    broker->wide = broker->waiting = true;
    broker->widen = false;
    broker->wide_us = now_us;
    runner->window.room = runner->options.prefetch;
    rabbit_qos(rabbit, CHANNEL, (uint16_t)runner->options.prefetch);
    rabbit_consume_before(rabbit, CHANNEL, runner->options.queue, wide_tag, WIDE_PRIORITY);
    rabbit_cancel(rabbit, CHANNEL, narrow_tag);
    /* A classic queue gives nothing to a consumer that became active by a cancel until something else happens to the
     * queue, such as one more consumer (rabbit_amqqueue_process.erl: basic_cancel does not run the queue, basic_consume
     * does). */
    rabbit_qos(rabbit, CHANNEL, NARROW);
    rabbit_consume_before(rabbit, CHANNEL, runner->options.queue, nudge_tag, NUDGE_PRIORITY);
}

/* To be called when the wide consumer has nothing in hand. */
static void
reopen(struct runner *runner)
{
    runner->broker.state = BROKER_REOPENING;
    runner_window_clear(&runner->window);
    rabbit_channel_close(session_rabbit(runner->broker.session), CHANNEL);
}

/* Without an id a duplicate cannot be recognised, so the message cannot be applied once. */
static bool
has_usable_id(const struct rabbit_message *message)
{
    return message->message_id.size > 0 &&
           utf8_is_text(message->message_id.data, message->message_id.size);
}

static void
refuse_nameless(struct runner *runner, const struct rabbit_event *event, uint64_t now_us)
{
    const struct rabbit_message *message = &event->message;
    if (!runner_window_add_refused(&runner->window, event->tag)) {
        lose(runner, now_us, "the broker sent more messages than the prefetch allows",
             (struct span){0});
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
take_delivery(struct runner *runner, const struct rabbit_event *event, uint64_t now_us)
{
    struct runner_broker *broker = &runner->broker;
    if (broker->state != BROKER_CONSUMING) {
        return; /* it came while the channel was being closed: it goes back to the queue */
    }
    runner_count(runner, COUNT_DELIVERED, 1);
    broker->waiting = false;
    if (!has_usable_id(&event->message)) {
        refuse_nameless(runner, event, now_us);
        return;
    }
    struct runner_entry *entry = runner_window_add(&runner->window, event->tag, 0, now_us);
    if (entry == NULL) {
        lose(runner, now_us, "the broker sent more messages than the prefetch allows",
             (struct span){0});
        return;
    }
    struct runner_delivery *delivery = entry->item;
    if (!runner_delivery_set(delivery, event)) {
        lose(runner, now_us, "out of memory for a message", (struct span){0});
        return;
    }
    entry->key = delivery->key_hash;
    if (delivery->counted) {
        runner_window_count(entry);
        return;
    }
    broker->widen = !broker->wide && broker->new_us != 0 && now_us - broker->new_us < SOON_US;
    broker->new_us = now_us;
}

static bool
is_tag(struct span tag, const char *text)
{
    return tag.size == strlen(text) && memcmp(tag.data, text, tag.size) == 0;
}

static void
take_consuming(struct runner *runner, struct span tag)
{
    struct runner_broker *broker = &runner->broker;
    if (is_tag(tag, nudge_tag)) {
        /* Not before it is confirmed: RabbitMQ's channel crashes when it confirms a consumer that is gone. */
        rabbit_cancel(session_rabbit(broker->session), CHANNEL, nudge_tag);
        return;
    }
    broker->state = BROKER_CONSUMING;
    if (!broker->told) {
        broker->told = true;
        backoff_reset(&broker->backoff);
        runner_report(runner, INBOX_REPORT_INFO, "consuming", "queue %s at %s",
                      runner->options.queue, session_peer(broker->session));
    }
}

/* The tag of the consumer that takes messages now. */
static const char *
current_tag(const struct runner *runner)
{
    return runner->broker.wide && runner->options.prefetch != NARROW ? wide_tag : narrow_tag;
}

static void
take_event(struct runner *runner, const struct rabbit_event *event, uint64_t now_us)
{
    struct runner_broker *broker = &runner->broker;
    struct rabbit *rabbit = session_rabbit(broker->session);
    switch (event->type) {
    case RABBIT_OPENED:
        rabbit_channel_open(rabbit, CHANNEL, false);
        break;
    case RABBIT_CHANNEL_OPENED:
        begin_narrow(runner);
        break;
    case RABBIT_CONSUMING:
        take_consuming(runner, event->consumer_tag);
        break;
    case RABBIT_DELIVERED:
        take_delivery(runner, event, now_us);
        break;
    case RABBIT_CANCELLED:
        if (broker->state == BROKER_CONSUMING && is_tag(event->consumer_tag, current_tag(runner))) {
            lose(runner, now_us, "the broker ended the consumer: was the queue deleted?",
                 (struct span){0});
        }
        break;
    case RABBIT_CHANNEL_CLOSED:
        if (broker->state == BROKER_REOPENING && event->code == CLOSED_BY_US) {
            rabbit_channel_open(rabbit, CHANNEL, false);
        } else {
            lose(runner, now_us, "the broker closed the channel: ", event->text);
        }
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
take_events(struct runner *runner, uint64_t now_us)
{
    struct rabbit_event event;
    while (runner->broker.state != BROKER_DOWN && session_next(runner->broker.session, &event)) {
        take_event(runner, &event, now_us);
    }
}

static void
send_settlements(struct runner *runner, bool refusals)
{
    const struct runner_settlement *settlements;
    size_t count = runner_window_settle(&runner->window, refusals, &settlements);
    struct rabbit *rabbit = session_rabbit(runner->broker.session);
    for (size_t i = 0; i < count; i++) {
        if (settlements[i].refuse) {
            rabbit_nack(rabbit, CHANNEL, settlements[i].tag, false, false);
        } else {
            rabbit_ack(rabbit, CHANNEL, settlements[i].tag, settlements[i].multiple);
        }
    }
}

/* Changes to the other kind of consumer when it is time. */
static void
change_consumer(struct runner *runner, uint64_t now_us)
{
    struct runner_broker *broker = &runner->broker;
    const struct runner_window *window = &runner->window;
    if (!broker->wide && window->count == NARROW &&
        (broker->widen ? runner_window_open(window) == 0 : runner_window_needs_others(window))) {
        widen(runner, now_us);
    } else if (broker->waiting && now_us - broker->wide_us >= WAITING_US) {
        reopen(runner);
    }
}

static void
open_when_due(struct runner *runner, uint64_t now_us)
{
    struct runner_broker *broker = &runner->broker;
    if (broker->state == BROKER_DOWN && now_us >= broker->retry_us && runner->ready) {
        broker->state = BROKER_OPENING;
        session_open(broker->session, now_us);
    }
}

void
runner_broker_turn(struct runner *runner, uint64_t now_us)
{
    struct runner_broker *broker = &runner->broker;
    open_when_due(runner, now_us);
    /* Events come first, because they may say that the channel is closed, and a closed channel takes no ack. */
    take_events(runner, now_us);
    if (broker->state == BROKER_CONSUMING) {
        change_consumer(runner, now_us);
    }
    if (broker->state == BROKER_CONSUMING) {
        send_settlements(runner, false);
    }
    if (broker->state != BROKER_DOWN) {
        session_flush(broker->session, now_us);
    }
}

void
runner_broker_last_turn(struct runner *runner, uint64_t now_us)
{
    take_events(runner, now_us);
    if (runner->broker.state == BROKER_CONSUMING) {
        send_settlements(runner, true);
        session_flush(runner->broker.session, now_us);
    }
}

uint64_t
runner_broker_due_us(const struct runner *runner)
{
    const struct runner_broker *broker = &runner->broker;
    if (broker->state == BROKER_DOWN) {
        return runner->ready || broker->retry_us > runner->window.outage_until_us
                   ? broker->retry_us
                   : runner->window.outage_until_us;
    }
    return broker->waiting ? broker->wide_us + WAITING_US : CLOCK_NEVER_US;
}

void
runner_broker_wait(struct runner *runner, bool heed_stop, uint64_t until_us)
{
    struct runner_broker *broker = &runner->broker;
    uint64_t deadline_us =
        broker->state == BROKER_DOWN ? CLOCK_NEVER_US : session_deadline_us(broker->session);
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

/* If the whole prefetch is in hand and applied, nothing else is on its way, and a cancel keeps in the queue what would
 * come in its place. If less is in hand, the queue had no more to give, so acknowledging brings few messages that must
 * be returned. If some messages must go back, all go back: acknowledging the others would bring as many new ones. */
static void
say_goodbye(struct runner *runner)
{
    struct runner_broker *broker = &runner->broker;
    struct rabbit *rabbit = session_rabbit(broker->session);
    if (runner_window_open(&runner->window) == 0) {
        if (runner->window.count >= runner->window.room) {
            rabbit_cancel(rabbit, CHANNEL, current_tag(runner));
        }
        send_settlements(runner, false);
    }
    broker->state = BROKER_CLOSING;
    rabbit_close(rabbit);
}

void
runner_broker_leave(struct runner *runner, uint64_t deadline_us)
{
    struct runner_broker *broker = &runner->broker;
    uint64_t now_us = clock_monotonic_us();
    if (broker->state == BROKER_CONSUMING) {
        take_events(runner, now_us);
    }
    if (broker->state == BROKER_CONSUMING) {
        say_goodbye(runner);
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
    broker->told = false;
    broker->retry_us = 0;
    backoff_reset(&broker->backoff);
}

void
runner_broker_give_back(struct runner *runner, uint64_t now_us)
{
    const struct runner_window *window = &runner->window;
    if (runner->outage_us == 0 || now_us - runner->outage_us < PATIENCE_US ||
        runner->broker.state != BROKER_CONSUMING ||
        (window->room == NARROW && window->count > 0 && window->entries[0].counted)) {
        return;
    }
    runner_report(
        runner, INBOX_REPORT_WARNING, "given_back",
        "the database does not answer: %u messages go back to queue %s, and no more are taken "
        "until it does",
        window->count, runner->options.queue);
    runner_broker_leave(runner, now_us + GOODBYE_US);
    runner->ready = false;
}
