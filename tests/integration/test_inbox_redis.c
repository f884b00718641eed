#include <criterion/criterion.h>
#include <inbox/inbox_redis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/fail_alloc.h"
#include "tests/integration/redis_fixture.h"

static struct inbox_error error;

/* ---- against the shared server: its own keys, by a prefix that no other test has ---- */

static inbox_redis *redis;
static struct inbox_redis_options options = INBOX_REDIS_OPTIONS_INIT;
static char prefix[32];

static const char *
environment(const char *name)
{
    const char *value = getenv(name);
    cr_assert_not_null(value, "%s is not set: this test needs a Redis server; see tests/services",
                       name);
    return value;
}

static inbox_redis *
handle(void)
{
    inbox_redis *made = NULL;
    cr_assert_eq(inbox_redis_new(&options, &made, &error), INBOX_OK, "%s", error.message);
    return made;
}

static void
set_up(void)
{
    (void)snprintf(prefix, sizeof(prefix), "test%ld:", (long)getpid());
    options.consumer = "billing";
    options.prefix = prefix;
    options.timeout_ms = 10000; /* a slow machine must not make the test fail */
    options.hint_ttl_s = 60;
    options.done_ttl_s = 60;
    options.host = environment("OUTBOX_TEST_REDIS_HOST");
    options.port = (uint16_t)strtoul(environment("OUTBOX_TEST_REDIS_PORT"), NULL, 10);
    redis = handle();
}

static void
tear_down(void)
{
    inbox_redis_free(redis);
}

TestSuite(inbox_redis, .init = set_up, .fini = tear_down, .timeout = 60);

static bool
seen(inbox_redis *by, const char *id)
{
    const struct inbox_id ids[1] = {{id, strlen(id)}};
    bool answer = true;
    cr_assert_eq(inbox_redis_seen(by, ids, 1, &answer, &error), INBOX_OK, "%s", error.message);
    return answer;
}

static inbox_result
remember(inbox_redis *by, const char *id)
{
    const struct inbox_id ids[1] = {{id, strlen(id)}};
    return inbox_redis_remember(by, ids, 1, &error);
}

/* 0 on failure: no verdict has that value. */
static inbox_verdict
claim(inbox_redis *by, const char *id, struct inbox_redis_lease *ret_lease)
{
    inbox_verdict verdict = 0;
    memset(&error, 0, sizeof(error));
    const inbox_result code = inbox_redis_claim(by, id, strlen(id), &verdict, ret_lease, &error);
    cr_assert_eq(code == INBOX_OK, verdict != 0);
    return verdict;
}

static inbox_result
done(inbox_redis *by, const char *id, const struct inbox_redis_lease *lease)
{
    return inbox_redis_done(by, id, strlen(id), lease, &error);
}

static inbox_result
release(inbox_redis *by, const char *id, const struct inbox_redis_lease *lease)
{
    return inbox_redis_release(by, id, strlen(id), lease, &error);
}

Test(inbox_redis, hint_is_what_was_remembered)
{
    const struct inbox_id ids[4] = {{"a", 1}, {"b", 1}, {"c", 1}, {"a", 1}};
    const struct inbox_id some[2] = {{"c", 1}, {"a", 1}};
    bool flags[4] = {true, true, true, true};
    cr_assert_eq(inbox_redis_seen(redis, ids, 4, flags, &error), INBOX_OK, "%s", error.message);
    cr_assert_not(flags[0] || flags[1] || flags[2] || flags[3]);
    cr_assert_eq(inbox_redis_remember(redis, some, 2, &error), INBOX_OK, "%s", error.message);
    cr_assert_eq(inbox_redis_seen(redis, ids, 4, flags, &error), INBOX_OK);
    cr_assert(flags[0] && !flags[1] && flags[2] && flags[3]);
    cr_assert_eq(inbox_redis_seen(redis, NULL, 0, NULL, &error), INBOX_OK);
    cr_assert_eq(inbox_redis_remember(redis, NULL, 0, &error), INBOX_OK);
}

Test(inbox_redis, hint_for_the_runner)
{
    char long_text[300];
    memset(long_text, 'x', sizeof(long_text));
    long_text[299] = '\0';
    const char *const texts[] = {long_text, "a", "", "b", NULL};
    const char *const some[] = {"", "b", long_text};
    bool flags[5] = {true, true, true, true, true};
    inbox_redis_hint_remember(redis, some, 3);
    inbox_redis_hint_seen(redis, texts, 5, flags);
    cr_assert(!flags[0] && !flags[1] && !flags[2] && flags[3] && !flags[4]);
}

Test(inbox_redis, large_batch)
{
    enum { COUNT = 20000 };
    static char texts[COUNT][16];
    static struct inbox_id ids[COUNT];
    static bool flags[COUNT];
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "id-%d", i);
        ids[i] = (struct inbox_id){texts[i], strlen(texts[i])};
    }
    cr_assert_eq(inbox_redis_remember(redis, ids, COUNT / 2, &error), INBOX_OK, "%s",
                 error.message);
    cr_assert_eq(inbox_redis_seen(redis, ids, COUNT, flags, &error), INBOX_OK, "%s", error.message);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(flags[i], i < COUNT / 2, "number %d", i);
    }
}

Test(inbox_redis, consumers_are_apart)
{
    options.consumer = "mailing";
    inbox_redis *mailing = handle();
    options.consumer = "billing:a";
    inbox_redis *longer = handle();
    struct inbox_redis_lease lease;
    cr_assert_eq(remember(redis, "a:b"), INBOX_OK);
    cr_assert_eq(claim(redis, "a:b", &lease), INBOX_FIRST);
    cr_assert_not(seen(mailing, "a:b"));
    cr_assert_not(seen(longer, "b"));
    cr_assert_eq(claim(mailing, "a:b", &lease), INBOX_FIRST);
    cr_assert_eq(claim(longer, "b", &lease), INBOX_FIRST);
    inbox_redis_free(mailing);
    inbox_redis_free(longer);
}

Test(inbox_redis, claim_then_done)
{
    struct inbox_redis_lease lease;
    struct inbox_redis_lease other_lease;
    inbox_redis *other = handle();
    cr_assert_eq(claim(redis, "m1", &lease), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(strlen(lease.token), 32u);
    cr_assert_eq(lease.left_ms, 60000u);
    cr_assert_eq(claim(other, "m1", &other_lease), INBOX_BUSY);
    cr_assert_str_eq(other_lease.token, "");
    cr_assert(other_lease.left_ms > 30000 && other_lease.left_ms <= 60000);
    cr_assert_eq(done(other, "m1", &other_lease), INBOX_INVALID, "a lease that is not ours");
    cr_assert_eq(done(redis, "m1", &lease), INBOX_OK, "%s", error.message);
    cr_assert_eq(done(redis, "m1", &lease), INBOX_OK, "the same again");
    cr_assert_eq(claim(other, "m1", &other_lease), INBOX_DUPLICATE);
    cr_assert_eq(claim(redis, "m1", &other_lease), INBOX_DUPLICATE);
    cr_assert_eq(release(redis, "m1", &lease), INBOX_LEASE_LOST, "done is done");
    cr_assert_eq(claim(other, "m1", &other_lease), INBOX_DUPLICATE);
    inbox_redis_free(other);
}

Test(inbox_redis, claim_then_release)
{
    struct inbox_redis_lease lease;
    struct inbox_redis_lease again;
    cr_assert_eq(claim(redis, "m1", &lease), INBOX_FIRST);
    cr_assert_eq(release(redis, "m1", &lease), INBOX_OK, "%s", error.message);
    cr_assert_eq(claim(redis, "m1", &again), INBOX_FIRST);
    cr_assert_str_neq(lease.token, again.token);
    cr_assert_eq(release(redis, "m1", &lease), INBOX_LEASE_LOST, "another one's lease");
    cr_assert_eq(claim(redis, "m1", &lease), INBOX_BUSY);
}

/* Asks until the id is not busy: that takes as long as the lease, whatever the speed of the machine. */
static void
claim_when_free(inbox_redis *by, const char *id, struct inbox_redis_lease *ret_lease)
{
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    inbox_verdict verdict;
    while ((verdict = claim(by, id, ret_lease)) == INBOX_BUSY) {
        cr_assert_lt(clock_monotonic_us(), deadline_us, "the lease does not end");
    }
    cr_assert_eq(verdict, INBOX_FIRST);
}

Test(inbox_redis, lease_that_somebody_took_over)
{
    struct inbox_redis_lease late;
    struct inbox_redis_lease lease;
    options.lease_ms = 30;
    inbox_redis *slow = handle();
    cr_assert_eq(claim(slow, "m1", &late), INBOX_FIRST);
    claim_when_free(redis, "m1", &lease);
    cr_assert_eq(done(slow, "m1", &late), INBOX_LEASE_LOST);
    cr_assert_eq(claim(slow, "m1", &late), INBOX_BUSY, "done has not touched the lease of another");
    cr_assert_eq(done(redis, "m1", &lease), INBOX_OK);
    inbox_redis_free(slow);
}

Test(inbox_redis, lease_that_ended_and_nobody_took)
{
    struct inbox_redis_lease late;
    struct inbox_redis_lease lease;
    options.lease_ms = 30;
    inbox_redis *slow = handle();
    cr_assert_eq(claim(slow, "m1", &late), INBOX_FIRST);
    claim_when_free(redis, "m1", &lease);
    cr_assert_eq(release(redis, "m1", &lease), INBOX_OK);
    cr_assert_eq(done(slow, "m1", &late), INBOX_LEASE_LOST);
    cr_assert_eq(claim(redis, "m1", &lease), INBOX_DUPLICATE, "it happened, so it is recorded");
    inbox_redis_free(slow);
}

Test(inbox_redis, no_memory_at_any_point)
{
    const struct inbox_id ids[1] = {{"a", 1}};
    unsigned nth = 0;
    inbox_result code = INBOX_NO_MEMORY;
    bool flag = true;
    while (code != INBOX_OK) {
        inbox_redis *made = NULL;
        fail_alloc_arm(++nth);
        code = inbox_redis_new(&options, &made, &error);
        if (code == INBOX_OK) {
            code = inbox_redis_seen(made, ids, 1, &flag, &error);
        }
        inbox_redis_free(made);
        cr_assert_eq(code, fail_alloc_happened() ? INBOX_NO_MEMORY : INBOX_OK, "allocation %u",
                     nth);
    }
    fail_alloc_arm(0);
    cr_assert_gt(nth, 4u);
}

/* ---- against a server of its own, that loses its data or stops ---- */

static void
start_own(int persistent)
{
    options.host = redis_fixture_start(persistent);
    options.consumer = "billing";
    options.timeout_ms = 10000;
    redis = handle();
}

static void
stop_own(void)
{
    inbox_redis_free(redis);
    redis_fixture_stop();
}

TestSuite(inbox_redis_loss, .fini = stop_own, .timeout = 60);

static void
expect_loss_once(inbox_redis *by, const char *id, inbox_verdict then)
{
    struct inbox_redis_lease lease;
    cr_assert_eq(claim(by, id, &lease), 0);
    cr_assert_eq(error.code, INBOX_REDIS_LOST, "%s: %s", inbox_result_name(error.code),
                 error.message);
    cr_assert_eq(claim(by, id, &lease), then, "%s", error.message);
}

/* Claimed and done, so that a second FIRST means that it was forgotten. */
static void
do_once(const char *id)
{
    struct inbox_redis_lease lease;
    cr_assert_eq(claim(redis, id, &lease), INBOX_FIRST, "%s", error.message);
    cr_assert_eq(done(redis, id, &lease), INBOX_OK, "%s", error.message);
    cr_assert_eq(claim(redis, id, &lease), INBOX_DUPLICATE);
}

Test(inbox_redis_loss, flush_is_told_by_claim_once_to_each_handle)
{
    start_own(0);
    inbox_redis *other = handle();
    do_once("m1");
    cr_assert_not(seen(other, "m1"));
    (void)redis_fixture_command("FLUSHALL");
    expect_loss_once(redis, "m1", INBOX_FIRST);
    expect_loss_once(other, "m1", INBOX_BUSY);
    inbox_redis *later = handle();
    struct inbox_redis_lease lease;
    cr_assert_eq(claim(later, "m1", &lease), INBOX_BUSY, "nothing was lost in its time");
    inbox_redis_free(other);
    inbox_redis_free(later);
}

Test(inbox_redis_loss, a_claim_that_tells_a_loss_claims_nothing)
{
    struct inbox_redis_lease lease;
    start_own(0);
    do_once("m1");
    (void)redis_fixture_command("FLUSHALL");
    cr_assert_eq(claim(redis, "m2", &lease), 0);
    cr_assert_eq(error.code, INBOX_REDIS_LOST);
    cr_assert_eq(redis_fixture_command("DBSIZE"), 1, "more than the epoch");
}

Test(inbox_redis_loss, flush_met_by_the_hint_is_told_by_claim_too)
{
    const struct inbox_id ids[1] = {{"m1", 2}};
    bool flag = true;
    start_own(0);
    cr_assert_eq(remember(redis, "m1"), INBOX_OK, "%s", error.message);
    cr_assert(seen(redis, "m1"));
    (void)redis_fixture_command("FLUSHALL");
    cr_assert_eq(inbox_redis_seen(redis, ids, 1, &flag, &error), INBOX_REDIS_LOST);
    cr_assert_not(flag);
    cr_assert_not(seen(redis, "m1"), "the next answer is an answer");
    expect_loss_once(redis, "m1", INBOX_FIRST);
}

Test(inbox_redis_loss, remember_remembers_in_spite_of_a_loss)
{
    start_own(0);
    cr_assert_eq(remember(redis, "m1"), INBOX_OK);
    (void)redis_fixture_command("FLUSHALL");
    cr_assert_eq(remember(redis, "m2"), INBOX_REDIS_LOST);
    cr_assert(seen(redis, "m2"));
    cr_assert_not(seen(redis, "m1"));
}

Test(inbox_redis_loss, flush_between_claim_and_done)
{
    struct inbox_redis_lease lease;
    start_own(0);
    cr_assert_eq(claim(redis, "m1", &lease), INBOX_FIRST, "%s", error.message);
    (void)redis_fixture_command("FLUSHALL");
    cr_assert_eq(done(redis, "m1", &lease), INBOX_LEASE_LOST);
    expect_loss_once(redis, "m1", INBOX_DUPLICATE);
}

Test(inbox_redis_loss, restart_without_persistence)
{
    start_own(0);
    do_once("m1");
    redis_fixture_restart();
    expect_loss_once(redis, "m1", INBOX_FIRST);
}

/* Nothing is missing here, but with appendfsync everysec the last second could be, and nobody could notice. */
Test(inbox_redis_loss, restart_with_persistence_may_have_lost)
{
    start_own(1);
    do_once("m1");
    redis_fixture_restart();
    expect_loss_once(redis, "m1", INBOX_DUPLICATE);
}

Test(inbox_redis_loss, restart_is_noticed_by_a_handle_made_later)
{
    start_own(1);
    do_once("m1");
    inbox_redis_free(redis);
    redis_fixture_restart();
    redis = handle();
    expect_loss_once(redis, "m1", INBOX_DUPLICATE);
}

Test(inbox_redis_loss, restart_does_not_disturb_the_hint_for_long)
{
    const struct inbox_id ids[1] = {{"m1", 2}};
    bool flag = true;
    start_own(1);
    cr_assert_eq(remember(redis, "m1"), INBOX_OK, "%s", error.message);
    redis_fixture_restart();
    cr_assert_eq(inbox_redis_seen(redis, ids, 1, &flag, &error), INBOX_REDIS_LOST);
    cr_assert_not(flag);
    cr_assert(seen(redis, "m1"));
}

Test(inbox_redis_loss, frozen_server_costs_a_timeout_and_then_nothing)
{
    const struct inbox_id ids[1] = {{"m1", 2}};
    bool flag = true;
    start_own(0);
    inbox_redis_free(redis);
    options.timeout_ms = 100;
    options.backoff_max_ms = 3600000;
    redis = handle();
    /* The first call may be slow on a busy machine, so only later ones are measured. */
    (void)inbox_redis_remember(redis, ids, 1, &error);
    redis_fixture_freeze(1);
    uint64_t before_us = clock_monotonic_us();
    cr_assert_eq(inbox_redis_seen(redis, ids, 1, &flag, &error), INBOX_CONNECTION);
    cr_assert_lt(clock_monotonic_us() - before_us, 5 * CLOCK_S_US);
    cr_assert_not(flag);
    before_us = clock_monotonic_us();
    int calls = 0;
    do {
        cr_assert_eq(inbox_redis_seen(redis, ids, 1, &flag, &error), INBOX_CONNECTION);
        calls++;
    } while (strstr(error.message, "left alone") != NULL && calls < 1000);
    cr_assert_gt(calls, 1, "no rest after a failure: %s", error.message);
    redis_fixture_freeze(0);
}

/* ---- with few rights, as inbox_redis.h says: the default user keeps them all ---- */

static void
start_as(const char *rights)
{
    char command[256];
    start_own(0);
    inbox_redis_free(redis);
    (void)snprintf(command, sizeof(command), "ACL SETUSER app reset on >secret ~%s* %s", prefix,
                   rights);
    (void)redis_fixture_command(command);
    options.username = "app";
    options.password = "secret";
    redis = handle();
}

static void
expect_all_calls_to_work(void)
{
    struct inbox_redis_lease lease;
    cr_assert_eq(remember(redis, "m1"), INBOX_OK, "%s", error.message);
    cr_assert(seen(redis, "m1"));
    do_once("m2");
    cr_assert_eq(claim(redis, "m2", &lease), INBOX_DUPLICATE, "%s", error.message);
    cr_assert_eq(claim(redis, "m3", &lease), INBOX_FIRST, "%s", error.message);
    struct inbox_redis_lease other;
    cr_assert_eq(claim(redis, "m3", &other), INBOX_BUSY, "%s", error.message);
    cr_assert_eq(release(redis, "m3", &lease), INBOX_OK, "%s", error.message);
}

Test(inbox_redis_loss, rights_needed_are_few)
{
    start_as("+eval +mget +get +set +del +pttl +info");
    expect_all_calls_to_work();
    redis_fixture_restart(); /* a restart drops users that are in no file */
    (void)redis_fixture_command("ACL SETUSER app on >secret allkeys +@all");
    expect_loss_once(redis, "m2", INBOX_FIRST);
}

Test(inbox_redis_loss, without_info_it_works_but_sees_no_restart)
{
    start_as("+eval +mget +get +set +del +pttl");
    expect_all_calls_to_work();
}

Test(inbox_redis_loss, another_database_takes_one_more_right)
{
    start_as("+eval +mget +get +set +del +pttl +select");
    inbox_redis_free(redis);
    options.database = 3;
    redis = handle();
    expect_all_calls_to_work();
}

static void
expect_refusal(const char *rights, const char *words)
{
    const struct inbox_id ids[1] = {{"m1", 2}};
    start_as(rights);
    cr_assert_eq(inbox_redis_remember(redis, ids, 1, &error), INBOX_DATABASE, "%s: %s", rights,
                 inbox_result_name(error.code));
    cr_assert(strcasestr(error.message, words) != NULL, "%s: no \"%s\" in: %s", rights, words,
              error.message);
    stop_own();
    redis = NULL;
}

Test(inbox_redis_loss, a_missing_right_is_named)
{
    expect_refusal("+mget +get +set +del +pttl +info", "eval");
    expect_refusal("+eval +mget +get +del +pttl +info", "script"); /* only Redis 8 names it */
    expect_refusal("+eval +mget +set +del +pttl +info", "script");
    expect_refusal("resetkeys ~other:* +eval +mget +get +set +del +pttl +info", "key");
}

Test(inbox_redis_loss, comes_back_by_itself)
{
    const struct inbox_id ids[1] = {{"m1", 2}};
    const uint64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    bool flag = true;
    start_own(0);
    inbox_redis_free(redis);
    options.timeout_ms = 3000;
    redis = handle();
    cr_assert_eq(remember(redis, "m1"), INBOX_OK, "%s", error.message);
    redis_fixture_freeze(1);
    cr_assert_eq(inbox_redis_seen(redis, ids, 1, &flag, &error), INBOX_CONNECTION);
    redis_fixture_freeze(0);
    while (inbox_redis_seen(redis, ids, 1, &flag, &error) != INBOX_OK) {
        cr_assert_eq(error.code, INBOX_CONNECTION, "%s", error.message);
        cr_assert_lt(clock_monotonic_us(), deadline_us, "does not come back: %s", error.message);
    }
    cr_assert(flag);
}

Test(inbox_redis_loss, server_full_is_no_claim)
{
    struct inbox_redis_lease lease;
    start_own(0);
    do_once("m1");
    (void)redis_fixture_command("CONFIG SET maxmemory 1");
    cr_assert_eq(claim(redis, "m2", &lease), 0);
    cr_assert_eq(error.code, INBOX_DATABASE, "%s", error.message);
    cr_assert(strstr(error.message, "OOM") != NULL, "%s", error.message);
}
