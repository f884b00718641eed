#include "relay/rabbit/fence.h"

#include <stdio.h>
#include <string.h>

/* AMQP's codes for a closed channel, and for a closed connection. */
#define ACCESS_REFUSED 403
#define NOT_ALLOWED 530

/* A former owner's connection that is just being closed is gone after the first pause; each refusal is a line in the broker's log. */
#define PAUSE_FIRST_US (10 * CLOCK_MS_US)
#define PAUSE_MAX_US (200 * CLOCK_MS_US)

/* ---- what is done ------------------------------------------------------------------------------------------- */

static void
ask_for_it(struct fence *fence, struct rabbit *rabbit)
{
    fence->asked = FENCE_CHANNEL_DECLARE;
    if (fence->declaring) {
        (void)snprintf(fence->queue, sizeof(fence->queue), "%s", fence->wanted); /* fits */
        rabbit_queue_declare_exclusive(rabbit, FENCE_CHANNEL_DECLARE, fence->queue);
        fence->state = FENCE_DECLARING;
    } else {
        rabbit_channel_open(rabbit, FENCE_CHANNEL_DECLARE, false);
        fence->state = FENCE_OPENING;
    }
}

static void
give_up(struct fence *fence, struct rabbit *rabbit)
{
    if (fence->publishing || fence->declaring) {
        fence->asked = fence->publishing ? FENCE_CHANNEL_PUBLISH : FENCE_CHANNEL_DECLARE;
        rabbit_queue_delete(rabbit, fence->asked, fence->queue);
        fence->state = FENCE_DELETING;
    }
}

/* Does what is to be done next, if nothing is awaited. */
static void
step(struct fence *fence, struct rabbit *rabbit, uint64_t now_us)
{
    if (fence->state == FENCE_HELD && strcmp(fence->queue, fence->wanted) == 0) {
        fence->waits = false;
    } else if (fence->state == FENCE_HELD) {
        give_up(fence, rabbit);
    } else if (fence->state == FENCE_NONE && fence->waits && now_us >= fence->retry_us) {
        ask_for_it(fence, rabbit);
    }
}

static bool
is_open(const struct rabbit *rabbit)
{
    return rabbit != NULL && rabbit_is_open(rabbit);
}

void
fence_begin(struct fence *fence, struct rabbit *rabbit, uint64_t now_us)
{
    if (fence->wanted[0] == '\0' || fence->begun || fence->never) {
        return;
    }
    fence->begun = true;
    fence->waits = true;
    fence->until_us = now_us + FENCE_WAIT_US;
    fence->retry_us = now_us;
    fence->pause_us = PAUSE_FIRST_US;
    fence->text[0] = '\0';
    step(fence, rabbit, now_us);
}

void
fence_want(struct fence *fence, const char *outbox, uint32_t number, struct rabbit *rabbit,
           uint64_t now_us)
{
    (void)snprintf(fence->wanted, sizeof(fence->wanted), FENCE_PREFIX "%s.%u", outbox,
                   number); /* fits */
    fence->begun = false;
    if (is_open(rabbit)) {
        fence_begin(fence, rabbit, now_us);
    }
}

void
fence_drop(struct fence *fence, struct rabbit *rabbit, uint64_t now_us)
{
    fence->wanted[0] = '\0';
    fence->begun = false;
    fence->waits = false;
    if (is_open(rabbit)) {
        step(fence, rabbit, now_us);
    }
}

void
fence_reset(struct fence *fence)
{
    fence->state = FENCE_NONE;
    fence->asked = 0;
    fence->publishing = false;
    fence->declaring = false;
    fence->begun = false;
    fence->waits = false;
}

/* ---- what the broker says ------------------------------------------------------------------------------------ */

static void
go_on_without(struct fence *fence, enum fence_trouble trouble)
{
    fence->waits = false;
    fence->trouble = trouble;
}

static void
note_text(struct fence *fence, const struct rabbit_event *event)
{
    const char *const hint = event->code == ACCESS_REFUSED
                                 ? "; the configure permission ^outbox-relay\\. allows it"
                                 : "";
    (void)snprintf(fence->text, sizeof(fence->text), "%.*s%s", (int)event->text.size,
                   event->text.size > 0 ? (const char *)event->text.data : "", hint); /* fits */
}

static void
take_refusal(struct fence *fence, const struct rabbit_event *event, uint64_t now_us)
{
    note_text(fence, event);
    if (fence->waits && event->code == FENCE_TAKEN) {
        fence->retry_us = now_us + fence->pause_us;
        fence->pause_us = fence->pause_us < PAUSE_MAX_US / 2 ? 2 * fence->pause_us : PAUSE_MAX_US;
    } else if (fence->waits) {
        go_on_without(fence, FENCE_REFUSED);
    }
}

static void
take_closed(struct fence *fence, const struct rabbit_event *event, uint64_t now_us)
{
    const bool awaited = fence->asked == event->channel;
    if (event->channel == FENCE_CHANNEL_PUBLISH) {
        fence->publishing = false;
    } else {
        fence->declaring = false;
    }
    if (!awaited) {
        return;
    }
    fence->asked = 0;
    if (event->channel == FENCE_CHANNEL_PUBLISH) {
        fence->state = FENCE_HELD; /* maybe: a message before the delete closed the channel */
    } else {
        fence->state = FENCE_NONE;
        take_refusal(fence, event, now_us);
    }
}

static void
take_opened(struct fence *fence, const struct rabbit_event *event)
{
    if (event->channel == FENCE_CHANNEL_PUBLISH) {
        fence->publishing = true;
    } else {
        fence->declaring = true;
        fence->state = FENCE_NONE;
        fence->asked = 0;
    }
}

static void
take_answer(struct fence *fence)
{
    fence->state = fence->state == FENCE_DECLARING ? FENCE_HELD : FENCE_NONE;
    fence->asked = 0;
}

/* A user may be allowed one channel only. */
static void
take_end(struct fence *fence, const struct rabbit_event *event)
{
    if (fence->state == FENCE_OPENING && event->code == NOT_ALLOWED) {
        fence->never = true;
        (void)snprintf(fence->text, sizeof(fence->text), "no second channel: %s",
                       event->error.text); /* cut is fine */
        go_on_without(fence, FENCE_REFUSED);
    }
    fence_reset(fence);
}

bool
fence_take(struct fence *fence, struct rabbit *rabbit, const struct rabbit_event *event,
           uint64_t now_us)
{
    if (event->type == RABBIT_CHANNEL_OPENED) {
        take_opened(fence, event);
    } else if (event->type == RABBIT_CHANNEL_CLOSED) {
        take_closed(fence, event, now_us);
    } else if (event->type == RABBIT_DONE) {
        take_answer(fence);
    } else if (event->type == RABBIT_CLOSED) {
        take_end(fence, event);
        return false;
    } else {
        return false;
    }
    if (is_open(rabbit)) {
        step(fence, rabbit, now_us);
    }
    return event->type == RABBIT_DONE || event->channel == FENCE_CHANNEL_DECLARE;
}

/* ---- time ---------------------------------------------------------------------------------------------------- */

void
fence_tick(struct fence *fence, struct rabbit *rabbit, uint64_t now_us)
{
    if (fence->waits && now_us >= fence->until_us) {
        if (fence->text[0] == '\0') {
            (void)snprintf(fence->text, sizeof(fence->text),
                           "the broker does not answer"); /* fits */
        }
        go_on_without(fence, FENCE_LATE);
    } else if (is_open(rabbit)) {
        step(fence, rabbit, now_us);
    }
}

uint64_t
fence_deadline_us(const struct fence *fence)
{
    if (!fence->waits) {
        return CLOCK_NEVER_US;
    }
    return fence->state == FENCE_NONE ? clock_earlier_us(fence->retry_us, fence->until_us)
                                      : fence->until_us;
}

enum fence_trouble
fence_tell(struct fence *fence, const char **ret_text)
{
    const enum fence_trouble trouble = fence->trouble;
    fence->trouble = FENCE_FINE;
    *ret_text = fence->text;
    return trouble;
}
