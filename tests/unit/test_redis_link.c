#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"
#include "consumers/redis_link.h"
#include "tests/unit/fake_redis.h"

static struct fake_redis fake;
static struct redis_link link;
static struct inbox_error error;

static void
start(const char *const *replies)
{
    fake_redis_start(&fake, replies);
    cr_assert_eq(redis_link_init(&link, fake.path, 0, NULL, &error), INBOX_OK);
    cr_assert_not(redis_link_is_open(&link));
    cr_assert_eq(redis_link_connect(&link, clock_monotonic_us() + 30 * CLOCK_S_US, &error),
                 INBOX_OK);
}

static void
stop(void)
{
    redis_link_done(&link);
    fake_redis_stop(&fake);
}

static inbox_result
ping(uint64_t timeout_ms, redisReply **ret_reply)
{
    const char *words[] = {"PING"};
    const size_t lengths[] = {4};
    return redis_link_call(&link, 1, words, lengths,
                           clock_monotonic_us() + timeout_ms * CLOCK_MS_US, ret_reply, &error);
}

Test(redis_link, replies_come_in_their_turn, .timeout = 60)
{
    static const char *const replies[] = {"+PONG\r\n", "-ERR no\r\n", NULL};
    redisReply *reply = NULL;
    start(replies);
    cr_assert_eq(ping(10000, &reply), INBOX_OK, "%s", error.message);
    cr_assert_str_eq(reply->str, "PONG");
    freeReplyObject(reply);
    cr_assert(redis_link_is_open(&link));
    cr_assert_eq(ping(10000, &reply), INBOX_OK, "%s", error.message);
    cr_assert_eq(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
    stop();
}

static void
expect_failure(const char *reply, uint64_t timeout_ms, const char *words)
{
    const char *const replies[] = {reply, NULL};
    redisReply *untouched = NULL;
    start(replies);
    cr_assert_eq(ping(timeout_ms, &untouched), INBOX_CONNECTION);
    cr_assert(strstr(error.message, words) != NULL, "%s", error.message);
    cr_assert_null(untouched);
    cr_assert_eq(link.fd, -1, "still open: a late reply would be taken for another");
    stop();
}

Test(redis_link, closed_by_the_other_side, .timeout = 60)
{
    expect_failure("\v", 10000, "");
}

Test(redis_link, what_is_no_reply, .timeout = 60)
{
    expect_failure("hello\r\n", 10000, "Protocol error");
}

static uint64_t
elapsed_ms(const char *reply, uint64_t timeout_ms)
{
    const uint64_t before_us = clock_monotonic_us();
    expect_failure(reply, timeout_ms, "no answer in time");
    return (clock_monotonic_us() - before_us) / CLOCK_MS_US;
}

Test(redis_link, deadline_holds_against_silence, .timeout = 60)
{
    const uint64_t ms = elapsed_ms(NULL, 50);
    cr_assert_geq(ms, 50u);
    cr_assert_lt(ms, 20000u);
}

/* A byte every 20 ms: a timeout for each read would wait 40 s. */
Test(redis_link, deadline_holds_against_a_trickle, .timeout = 60)
{
    char slow[2002];
    memset(slow, 'x', sizeof(slow));
    memcpy(slow, "\b+", 2);
    slow[sizeof(slow) - 1] = '\0';
    cr_assert_lt(elapsed_ms(slow, 100), 20000u);
}

/* SIGPIPE would end the test. */
Test(redis_link, no_signal_when_the_other_side_is_gone, .timeout = 60)
{
    static const char *const replies[] = {NULL};
    redisReply *reply = NULL;
    start(replies);
    fake_redis_stop(&fake);
    cr_assert_eq(ping(10000, &reply), INBOX_CONNECTION);
    cr_assert_not(redis_link_is_open(&link));
    redis_link_done(&link);
}

Test(redis_link, notices_that_it_was_closed, .timeout = 60)
{
    static const char *const replies[] = {NULL};
    start(replies);
    cr_assert(redis_link_is_open(&link));
    fake_redis_stop(&fake);
    cr_assert_not(redis_link_is_open(&link));
    cr_assert_eq(redis_link_connect(&link, clock_monotonic_us() + 30 * CLOCK_S_US, &error),
                 INBOX_CONNECTION);
    redis_link_done(&link);
}

Test(redis_link, hosts)
{
    char path[200];
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[199] = '\0';
    cr_assert_eq(redis_link_init(&link, path, 0, NULL, &error), INBOX_INVALID);
    redis_link_done(&link);
    cr_assert_eq(redis_link_init(&link, "no host", 6379, NULL, &error), INBOX_CONNECTION);
    cr_assert(strstr(error.message, "no host") != NULL);
    redis_link_done(&link);
    cr_assert_eq(redis_link_init(&link, "127.0.0.1", 1, NULL, &error), INBOX_OK);
    cr_assert_eq(redis_link_connect(&link, clock_monotonic_us() + 30 * CLOCK_S_US, &error),
                 INBOX_CONNECTION);
    cr_assert(strstr(error.message, "refused") != NULL, "%s", error.message);
    redis_link_done(&link);
}
