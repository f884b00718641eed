#include "relay/rabbit/fence.h"

#include <criterion/criterion.h>
#include <string.h>

#include "broker_bytes.h"

#define START_US (100 * CLOCK_S_US)
#define QUEUE "outbox-relay.17.5.3"

/* The connection, its fence, and what the broker would answer. */
static struct broker_bytes out;
static struct rabbit *rabbit;
static struct fence fence;
static uint64_t now_us;
static unsigned passed; /* events that are not about the fence alone */

/* Gives the fence all that the broker has said. */
static void
feed(void)
{
    struct rabbit_event event;
    rabbit_feed(rabbit, out.bytes, out.size, now_us);
    out.size = 0;
    while (rabbit_next(rabbit, &event)) {
        passed += !fence_take(&fence, event.type == RABBIT_CLOSED ? NULL : rabbit, &event, now_us);
    }
}

/* Connected, with its channel open, and nothing wanted yet. */
static void
connect(void)
{
    rabbit = rabbit_new(&(struct rabbit_options){.user = "relay", .password = "secret"});
    rabbit_start(rabbit, now_us);
    broker_handshake(&out, 131072, 0);
    feed();
    rabbit_channel_open(rabbit, FENCE_CHANNEL_PUBLISH, true);
    broker_channel_opened(&out, FENCE_CHANNEL_PUBLISH, true);
    feed();
    rabbit_written(rabbit, buffer_size(rabbit_output(rabbit)), now_us);
}

static void
begin(void)
{
    fence = (struct fence){0};
    now_us = START_US;
    connect();
    passed = 0;
}

static void
end(void)
{
    rabbit_free(rabbit);
}

TestSuite(fence, .init = begin, .fini = end);

/* The fence has just said this on this channel, about its queue if `names`; and nothing else. */
static void
expect_said(uint16_t channel, uint32_t method, bool names)
{
    uint8_t bytes[6];
    const struct buffer *const output = rabbit_output(rabbit);
    const uint8_t *const said = buffer_front(output);
    cr_assert_gt(buffer_size(output), 11, "nothing was said");
    put_u16(bytes, channel);
    put_u32(bytes + 2, method);
    cr_assert_arr_eq(said + 1, bytes, 2);
    cr_assert_arr_eq(said + 7, bytes + 2, 4);
    cr_assert_eq(memmem(said, buffer_size(output), QUEUE, strlen(QUEUE)) != NULL, names);
    rabbit_written(rabbit, buffer_size(output), now_us);
}

static void
expect_silence(void)
{
    cr_assert_eq(buffer_size(rabbit_output(rabbit)), 0);
}

static void
open_channel(void)
{
    expect_said(FENCE_CHANNEL_DECLARE, AMQP_CHANNEL_OPEN_METHOD, false);
    broker_channel_opened(&out, FENCE_CHANNEL_DECLARE, false);
    feed();
    expect_said(FENCE_CHANNEL_DECLARE, AMQP_QUEUE_DECLARE_METHOD, true);
}

static void
grant(void)
{
    broker_method(&out, FENCE_CHANNEL_DECLARE, AMQP_QUEUE_DECLARE_OK_METHOD);
    broker_short(&out, QUEUE);
    broker_u32(&out, 0);
    broker_u32(&out, 0);
    broker_end(&out);
    feed();
}

static void
refuse(uint16_t code, const char *text)
{
    broker_close(&out, FENCE_CHANNEL_DECLARE, code, text);
    feed();
    expect_said(FENCE_CHANNEL_DECLARE, AMQP_CHANNEL_CLOSE_OK_METHOD, false);
}

static void
confirm_delete(uint16_t channel)
{
    broker_method(&out, channel, AMQP_QUEUE_DELETE_OK_METHOD);
    broker_u32(&out, 0);
    broker_end(&out);
    feed();
}

static void
want(void)
{
    fence_want(&fence, "17.5", 3, rabbit, now_us);
    cr_assert(fence.waits);
}

static void
get(void)
{
    want();
    open_channel();
    grant();
    cr_assert_not(fence.waits);
}

static void
expect_told(enum fence_trouble trouble, const char *words)
{
    const char *text;
    cr_assert_eq(fence_tell(&fence, &text), trouble);
    cr_assert_not_null(strstr(text, words), "%s", text);
    cr_assert_eq(fence_tell(&fence, &text), FENCE_FINE, "it is told twice");
}

static void
expect_not_told(void)
{
    const char *text;
    cr_assert_eq(fence_tell(&fence, &text), FENCE_FINE, "%s", text);
}

Test(fence, is_waited_for_until_the_broker_grants_it)
{
    want();
    open_channel();
    cr_assert(fence.waits);
    grant();
    cr_assert_not(fence.waits);
    expect_not_told();
    cr_assert_eq(fence_deadline_us(&fence), CLOCK_NEVER_US);
    cr_assert_eq(passed, 0);
}

Test(fence, that_is_wanted_before_there_is_a_connection_is_asked_for_with_its_channel)
{
    rabbit_free(rabbit);
    fence_want(&fence, "17.5", 3, NULL, now_us);
    cr_assert_not(fence.waits, "there is nothing that could wait");
    connect();
    fence_begin(&fence, rabbit, now_us);
    cr_assert(fence.waits);
    open_channel();
    grant();
    fence_begin(&fence, rabbit, now_us); /* the channel is opened again */
    cr_assert_not(fence.waits);
    expect_silence();
}

Test(fence, that_another_connection_has_is_asked_for_again_until_it_is_free)
{
    want();
    for (int i = 0; i < 3; i++) {
        open_channel();
        refuse(405, "RESOURCE_LOCKED");
        cr_assert(fence.waits);
        expect_silence();
        now_us = fence_deadline_us(&fence);
        cr_assert_lt(now_us, START_US + FENCE_WAIT_US / 2);
        fence_tick(&fence, rabbit, now_us);
    }
    open_channel();
    grant();
    cr_assert_not(fence.waits);
    expect_not_told();
}

Test(fence, that_stays_taken_is_gone_without_and_that_is_told_once)
{
    unsigned tries = 0;
    want();
    while (now_us < START_US + FENCE_WAIT_US) {
        open_channel();
        refuse(405, "RESOURCE_LOCKED - locked queue");
        tries++;
        cr_assert(fence.waits);
        expect_not_told();
        now_us = fence_deadline_us(&fence);
        fence_tick(&fence, rabbit, now_us);
    }
    cr_assert_eq(now_us, START_US + FENCE_WAIT_US);
    cr_assert_leq(tries, 10, "%u refusals, each of which the broker logs", tries);
    cr_assert_not(fence.waits);
    expect_told(FENCE_LATE, "locked queue");
    cr_assert_eq(fence_deadline_us(&fence), CLOCK_NEVER_US);
    expect_silence();
}

/* A connection on which the broker has stopped reading. */
Test(fence, that_gets_no_answer_is_gone_without_and_an_answer_may_still_come)
{
    want();
    open_channel();
    cr_assert_eq(fence_deadline_us(&fence), START_US + FENCE_WAIT_US);
    now_us += FENCE_WAIT_US;
    fence_tick(&fence, rabbit, now_us);
    cr_assert_not(fence.waits);
    expect_told(FENCE_LATE, "does not answer");
    grant();
    expect_silence();
    fence_drop(&fence, rabbit, now_us);
    expect_said(FENCE_CHANNEL_PUBLISH, AMQP_QUEUE_DELETE_METHOD, true);
}

Test(fence, that_is_not_allowed_is_gone_without_at_once)
{
    want();
    open_channel();
    refuse(403, "ACCESS_REFUSED");
    cr_assert_not(fence.waits);
    expect_told(FENCE_REFUSED, "ACCESS_REFUSED; the configure permission ^outbox-relay\\.");
    want(); /* in another ownership: it may be allowed by now */
    open_channel();
    refuse(406, "PRECONDITION_FAILED - queue limit");
    expect_told(FENCE_REFUSED, "queue limit");
}

/* The broker handles what was published on the channel before. */
Test(fence, is_given_up_behind_what_was_published)
{
    get();
    fence_drop(&fence, rabbit, now_us);
    expect_said(FENCE_CHANNEL_PUBLISH, AMQP_QUEUE_DELETE_METHOD, true);
    confirm_delete(FENCE_CHANNEL_PUBLISH);
    expect_silence();
    cr_assert_eq(passed, 0);
}

/* Else the delete, on its other channel, could come after the declare. */
Test(fence, that_is_wanted_again_is_asked_for_when_it_was_given_up)
{
    get();
    fence_drop(&fence, rabbit, now_us);
    expect_said(FENCE_CHANNEL_PUBLISH, AMQP_QUEUE_DELETE_METHOD, true);
    want();
    expect_silence();
    confirm_delete(FENCE_CHANNEL_PUBLISH);
    expect_said(FENCE_CHANNEL_DECLARE, AMQP_QUEUE_DECLARE_METHOD, true);
    grant();
    cr_assert_not(fence.waits);
}

Test(fence, is_given_up_also_where_a_message_closed_the_channel)
{
    get();
    fence_drop(&fence, rabbit, now_us);
    expect_said(FENCE_CHANNEL_PUBLISH, AMQP_QUEUE_DELETE_METHOD, true);
    broker_close(&out, FENCE_CHANNEL_PUBLISH, 404, "no exchange");
    feed();
    cr_assert_eq(passed, 1, "others have to know");
    rabbit_written(rabbit, 12, now_us); /* the answer to the close */
    expect_said(FENCE_CHANNEL_DECLARE, AMQP_QUEUE_DELETE_METHOD, true);
    confirm_delete(FENCE_CHANNEL_DECLARE);
    expect_silence();
}

Test(fence, that_is_granted_when_it_is_no_longer_wanted_is_given_up)
{
    want();
    open_channel();
    fence_drop(&fence, rabbit, now_us);
    cr_assert_not(fence.waits);
    expect_silence();
    grant();
    expect_said(FENCE_CHANNEL_PUBLISH, AMQP_QUEUE_DELETE_METHOD, true);
}

Test(fence, is_asked_for_on_the_next_connection)
{
    get();
    broker_close(&out, 0, 320, "CONNECTION_FORCED");
    feed();
    cr_assert_eq(passed, 1);
    cr_assert_not(fence.waits);
    rabbit_free(rabbit);
    connect();
    fence_begin(&fence, rabbit, now_us);
    cr_assert(fence.waits);
    open_channel();
    grant();
    cr_assert_not(fence.waits);
}

/* A user with a limit of one channel must not lose each connection. */
Test(fence, that_costs_the_connection_is_never_asked_for_again)
{
    want();
    expect_said(FENCE_CHANNEL_DECLARE, AMQP_CHANNEL_OPEN_METHOD, false);
    broker_close(&out, 0, 530, "NOT_ALLOWED - number of channels (1)");
    feed();
    expect_told(FENCE_REFUSED, "no second channel");
    rabbit_free(rabbit);
    connect();
    fence_begin(&fence, rabbit, now_us);
    cr_assert_not(fence.waits);
    expect_silence();
}
