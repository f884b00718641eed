/* Promise: whatever rows hold, the relay stays small. What is too large to be sent is never read; what is large and can be
 * sent is read a little at a time. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

/* As SQL knows it; and what is large is soon written. */
static void
define_queue(void)
{
    scene_exec("set default_toast_compression = lz4; alter table outbox alter payload set storage "
               "external");
    scene_exec("create function queue() returns text language sql as $$ select '%s' $$",
               scene.queue);
}

static void
open_limited(void)
{
    scene_open();
    define_queue();
}

static void
open_unlimited(void)
{
    scene_open_unlimited();
    define_queue();
}

TestSuite(relay_memory, .init = open_limited, .fini = scene_close, .timeout = 240);
TestSuite(relay_memory_unlimited, .init = open_unlimited, .fini = scene_close, .timeout = 240);

#define HOSTILE_KIB (UINT64_C(32) * 1024)
/* Some batches of 4 MiB, read, queued and being written, above what the libraries take of a system, which is 5 MiB more in
 * later ones. */
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
    scene_exec("insert into outbox (routing_key, key, payload) select queue(), 'good' || n, 'good' "
               "from generate_series(1, %d) n",
               count);
}

/* All that is hostile is held, all else is in the queue. */
static void
await_sorted(int64_t hostile, uint64_t good)
{
    scene_await("the outbox is empty", "select not exists (select from outbox)");
    scene_await("what is hostile is held",
                "select count(*) = %lld from outbox_held where state <> 'waiting'",
                (long long)hostile);
    check(broker_count(scene.broker, scene.queue) == good, "not all else came");
}

/* Tried again, from where it is held; operators see that it was. */
static void
try_again(const char *what)
{
    operator_retry("true");
    scene_await("it is tried again", "select bool_and(attempts = 2) from outbox_held");
    expect_small(what, HOSTILE_KIB);
}

/* On the disk they have some kilobytes. */
Test(relay_memory_unlimited, headers_that_would_be_a_gigabyte)
{
    insert_good(100);
    scene_exec("insert into outbox (routing_key, payload, headers) select queue(), 'bad', "
               "jsonb_build_object('a', (select jsonb_agg('1e131000'::jsonb) from "
               "generate_series(1, 9000))) from generate_series(1, 3); "
               "insert into outbox (routing_key, payload, headers) select queue(), 'bad', "
               "jsonb_build_object('a', repeat('x', 100 << 20))");
    check(scene_count("select max(pg_column_size(headers)) from outbox where id <= 103") < 10000,
          "they are not compressed");
    insert_good(100);
    scene_start_patient_relay(NULL);
    await_sorted(4, 200);
    expect_small("huge headers", HOSTILE_KIB);
    try_again("huge headers that are held");
    relay_drain(scene.relay);
}

Test(relay_memory_unlimited, texts_of_20_megabytes)
{
    insert_good(200);
    scene_exec(
        "insert into outbox (routing_key, key, payload) select queue(), repeat('k', 20 << 20) "
        "|| n, 'bad' from generate_series(1, 60) n; "
        "insert into outbox (routing_key, payload) select repeat('r', 20 << 20), 'bad' from "
        "generate_series(1, 3); "
        "insert into outbox (routing_key, exchange, payload) select queue(), repeat('e', 20 << "
        "20), 'bad' from generate_series(1, 3); "
        "insert into outbox (routing_key, type, payload) select queue(), repeat('t', 20 << "
        "20), 'bad' from generate_series(1, 3); "
        "insert into outbox (routing_key, content_type, payload) select queue(), repeat('c', "
        "20 << 20), 'bad' from generate_series(1, 3)");
    insert_good(200);
    scene_start_patient_relay(NULL);
    await_sorted(72, 400);
    expect_small("huge texts", HOSTILE_KIB);
    try_again("huge texts that are held");
    relay_drain(scene.relay);
}

/* What the limits let through: payloads of half a batch, and headers and texts as long as they may be. */
static void
insert_largest(void)
{
    scene_exec(
        "insert into outbox (routing_key, key, payload) select queue(), 'p', "
        "decode(repeat('ab', 2 << 20), 'hex') from generate_series(1, 12); "
        "insert into outbox (routing_key, key, headers, payload, type, content_type) select "
        "queue(), rpad(n::text, 1024, 'k'), jsonb_build_object('a', repeat('h', 120 << 10)), "
        "'x', repeat('t', 255), repeat('c', 255) from generate_series(1, 100) n; "
        "insert into outbox (routing_key, headers, payload) select queue(), "
        "jsonb_build_object('a', (select jsonb_agg('[]'::jsonb) from generate_series(1, "
        "20000))), 'x' from generate_series(1, 10); "
        "insert into outbox (routing_key, key, payload) select queue(), 'small', "
        "decode(repeat('ab', 60 << 10), 'hex') from generate_series(1, 300)");
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
    await_empty_outbox(scene.conn);
    check(broker_count(scene.broker, scene.queue) == 12 + 100 + 10 + 300, "not all came");
    expect_small(what, idle + BATCHES_KIB);
    relay_drain(scene.relay);
}

/* As a backlog, and as it is written. */
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
