/* Promise: whatever the rows contain, the relay's memory stays small. It never reads what is too large to be sent, and
 * reads large rows that can be sent a few at a time. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

static void
open_limited(void)
{
    scene_open();
    db_write_fast(scene.db);
}

/* The relay polls, whatever OUTBOX_TEST_MODE says. */
static void
open_unlimited(void)
{
    check(setenv("OUTBOX_TEST_MODE", "poll", 1) == 0, "out of memory");
    scene_open_large();
    db_lift_limits(scene.db);
    db_write_fast(scene.db);
}

TestSuite(relay_memory, .init = open_limited, .fini = scene_close, .timeout = 240);
TestSuite(relay_memory_unlimited, .init = open_unlimited, .fini = scene_close_own, .timeout = 240);

#define HOSTILE_KIB (UINT64_C(32) * 1024)
/* Some batches of 4 MiB, being read, queued and written, in addition to what the system's libraries need; later
 * versions of those need 5 MiB more. */
#define BATCHES_KIB (UINT64_C(30) * 1024)

static void
expect_small(const char *what, uint64_t largest_kib)
{
    const uint64_t peak_kib = relay_peak_kib(scene.relay);
    (void)fprintf(stderr, "%s: peak memory %llu KiB\n", what, (unsigned long long)peak_kib);
    check(peak_kib <= largest_kib * SANITIZED_FACTOR, "%s: %llu KiB", what,
          (unsigned long long)peak_kib);
}

static void
insert_good(int count)
{
    scene_exec("insert into outbox (routing_key, \"key\", payload) "
               "select '%s', concat('good', i), 'good' from " DB_SERIES("1", "%d"),
               scene.queue, count);
}

/* All hostile messages are held, all others are in the queue. */
static void
await_sorted(int64_t hostile, uint64_t good)
{
    scene_await("the outbox is empty", "select not exists (select 1 from outbox)");
    scene_await("what is hostile is held",
                "select count(*) = %lld from outbox_held where state <> 'waiting'",
                (long long)hostile);
    check(broker_count(scene.broker, scene.queue) == good, "not all else came");
}

/* They are tried again from outbox_held, and operators can see that. */
static void
try_again(const char *what)
{
    operator_retry("true");
    scene_await("it is tried again",
                "select min(attempts) = 2 and max(attempts) = 2 from outbox_held");
    expect_small(what, HOSTILE_KIB);
}

Test(relay_memory_unlimited, headers_that_would_be_a_gigabyte)
{
    insert_good(100);
    scene_exec("insert into outbox (routing_key, payload, headers) "
               "select '%s', 'bad', huge_headers() from " DB_SERIES(
                   "1", "3") "; "
                             "insert into outbox (routing_key, payload, headers) "
                             "values ('%s', 'bad', as_headers(concat('{\"a\": \"', repeat('x', 48 "
                             "<< 20), '\"}')))",
               scene.queue, scene.queue);
    insert_good(100);
    scene_start_patient_relay(NULL);
    await_sorted(4, 200);
    expect_small("huge headers", HOSTILE_KIB);
    try_again("huge headers that are held");
    relay_drain(scene.relay);
}

/* The largest messages within the limits: payloads of half a batch, and the longest headers and texts. */
static void
insert_largest(void)
{
    const char *queue = scene.queue;
    scene_exec(
        "insert into outbox (routing_key, \"key\", payload) "
        "select '%s', 'p', bytes(repeat('p', 2 << 20)) from " DB_SERIES(
            "1",
            "12") "; "
                  "insert into outbox (routing_key, \"key\", headers, payload, type, content_type) "
                  "select '%s', rpad(concat(i), 1024, 'k'), "
                  "as_headers(concat('{\"a\": \"', repeat('h', 120 << 10), '\"}')), 'x', "
                  "repeat('t', 255), repeat('c', 255) from " DB_SERIES(
                      "1", "100") "; "
                                  "insert into outbox (routing_key, headers, payload) "
                                  "select '%s', as_headers(concat('{\"a\": [', repeat('[], ', "
                                  "19999), '[]]}')), 'x' "
                                  "from " DB_SERIES(
                                      "1",
                                      "10") "; "
                                            "insert into outbox (routing_key, \"key\", payload) "
                                            "select '%s', 'small', bytes(repeat('s', 60 << 10)) "
                                            "from " DB_SERIES("1", "300"),
        queue, queue, queue, queue);
}

static uint64_t
idle_kib(void)
{
    scene_start_patient_relay(NULL);
    const uint64_t kib = relay_peak_kib(scene.relay);
    relay_drain(scene.relay);
    relay_free(scene.relay);
    scene.relay = NULL;
    (void)fprintf(stderr, "idle: %llu KiB\n", (unsigned long long)kib);
    return kib;
}

static void
expect_largest(const char *what, uint64_t idle)
{
    await_empty_outbox(scene.db);
    check(broker_count(scene.broker, scene.queue) == 12 + 100 + 10 + 300, "not all came");
    expect_small(what, idle + BATCHES_KIB);
    relay_drain(scene.relay);
}

/* First as a backlog, then as they are written. */
Test(relay_memory, all_that_may_be_sent)
{
    const uint64_t idle = idle_kib();
    insert_largest();
    scene_start_patient_relay(NULL);
    expect_largest("a backlog of the largest", idle);
}

Test(relay_memory, all_that_may_be_sent_as_it_is_written)
{
    const uint64_t idle = idle_kib();
    scene_start_patient_relay(NULL);
    insert_largest();
    expect_largest("the largest, just written", idle);
}
