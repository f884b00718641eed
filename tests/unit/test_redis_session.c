#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"
#include "consumers/redis_session.h"
#include "tests/unit/fake_redis.h"

#define INFO "$19\r\nrun_id:abcdef012345\r\n"
#define EPOCH_A "*2\r\n$1\r\nA\r\n$0\r\n\r\n"
#define EPOCH_B "*2\r\n$1\r\nB\r\n$0\r\n\r\n"
#define EPOCH_B_FOR_A "*2\r\n$1\r\nB\r\n$1\r\nA\r\n"

static struct fake_redis fake;
static struct redis_session session;
static struct inbox_error error;
static struct inbox_redis_options options = INBOX_REDIS_OPTIONS_INIT;

static void
start(const char *const *replies)
{
    fake_redis_start(&fake, replies);
    options.consumer = "c";
    options.host = fake.path;
    options.timeout_ms = 5000;
    cr_assert_eq(redis_session_init(&session, &options, &error), INBOX_OK);
}

static void
stop(void)
{
    redis_session_done(&session);
    fake_redis_stop(&fake);
}

Test(redis_session, greets_in_order, .timeout = 60)
{
    static const char *const replies[] = {"+OK\r\n", "+OK\r\n", INFO, EPOCH_A, NULL};
    options.username = "me";
    options.password = "secret";
    options.database = 3;
    start(replies);
    cr_assert_eq(redis_session_begin(&session, &error), INBOX_OK, "%s", error.message);
    cr_assert_str_eq(fake.seen[0], " AUTH me secret");
    cr_assert_str_eq(fake.seen[1], " SELECT 3");
    cr_assert_str_eq(fake.seen[2], " INFO server");
    cr_assert(strstr(fake.seen[3], " EVAL -- Makes sure") == fake.seen[3]);
    cr_assert_str_eq(session.epoch, "A");
    cr_assert_not(session.lost);
    cr_assert_eq(redis_session_begin(&session, &error), INBOX_OK);
    cr_assert_eq(atomic_load(&fake.commands), 4u, "an open connection greets no more");
    stop();
}

Test(redis_session, refused_by_the_server_then_left_alone, .timeout = 60)
{
    static const char *const replies[] = {"-WRONGPASS no\r\n", NULL};
    options.password = "secret";
    start(replies);
    cr_assert_eq(redis_session_begin(&session, &error), INBOX_DATABASE);
    cr_assert_str_eq(error.message, "Redis: WRONGPASS no");
    cr_assert_str_eq(fake.seen[0], " AUTH secret");
    cr_assert_gt(session.rest_until_us, 0);
    session.rest_until_us = CLOCK_NEVER_US; /* however slow this machine is */
    cr_assert_eq(redis_session_begin(&session, &error), INBOX_CONNECTION);
    cr_assert(strstr(error.message, "left alone") != NULL);
    cr_assert_eq(atomic_load(&fake.connections), 1u);
    session.rest_until_us = 0; /* time passes */
    session.timeout_us = 1000;
    cr_assert_eq(redis_session_begin(&session, &error), INBOX_CONNECTION);
    cr_assert(strstr(error.message, "in time") != NULL);
    stop();
}

Test(redis_session, server_that_tells_no_run_id, .timeout = 60)
{
    static const char *const replies[] = {"-NOPERM no\r\n", EPOCH_A, NULL};
    start(replies);
    cr_assert_eq(redis_session_begin(&session, &error), INBOX_OK, "%s", error.message);
    cr_assert_not(session.lost);
    stop();
}

Test(redis_session, epoch_of_an_earlier_process_is_a_loss_to_a_new_handle, .timeout = 60)
{
    static const char *const replies[] = {INFO, EPOCH_B_FOR_A, NULL};
    start(replies);
    cr_assert_eq(redis_session_begin(&session, &error), INBOX_OK);
    cr_assert(session.lost);
    cr_assert(session.lost_in_call);
    cr_assert_eq(redis_session_begin(&session, &error), INBOX_OK);
    cr_assert_not(session.lost_in_call, "not of this call");
    cr_assert(session.lost, "not told yet");
    stop();
}

Test(redis_session, loss_is_noted_and_the_new_epoch_learnt, .timeout = 60)
{
    static const char *const replies[] = {INFO, EPOCH_A, INFO, EPOCH_B, NULL};
    start(replies);
    cr_assert_eq(redis_session_begin(&session, &error), INBOX_OK);
    redis_session_note_loss(&session);
    cr_assert(session.lost);
    cr_assert_str_eq(session.epoch, "B");
    stop();
}

Test(redis_session, epoch_that_is_none, .timeout = 60)
{
    static const char *const replies[] = {INFO, "+OK\r\n", NULL};
    start(replies);
    cr_assert_eq(redis_session_begin(&session, &error), INBOX_DATABASE);
    cr_assert(strstr(error.message, "inbox:epoch") != NULL, "%s", error.message);
    cr_assert_eq(session.link.fd, -1);
    stop();
}

static void
expect_reply_means(const char *reply, inbox_result wanted)
{
    const char *const replies[] = {INFO, EPOCH_A, reply, NULL};
    const char *words[] = {"PING"};
    const size_t lengths[] = {4};
    redisReply *got = NULL;
    start(replies);
    cr_assert_eq(redis_session_begin(&session, &error), INBOX_OK);
    cr_assert_eq(redis_session_call(&session, 1, words, lengths, &got, &error), wanted);
    cr_assert_null(got);
    cr_assert_eq(session.link.fd >= 0, wanted != INBOX_CONNECTION);
    cr_assert_eq(session.rest_until_us > 0, wanted == INBOX_CONNECTION);
    stop();
}

Test(redis_session, error_replies_are_failures, .timeout = 60)
{
    expect_reply_means("-ERR unknown\r\n", INBOX_DATABASE);
    expect_reply_means("-LOADING wait\r\n", INBOX_CONNECTION);
    expect_reply_means("-READONLY replica\r\n", INBOX_CONNECTION);
}

Test(redis_session, random_hex)
{
    char text[33];
    char other[33];
    redis_random_hex(text, 16);
    redis_random_hex(other, 16);
    cr_assert_eq(strspn(text, "0123456789abcdef"), 32u);
    cr_assert_str_neq(text, other);
}
