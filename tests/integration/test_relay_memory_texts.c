/* Promise: texts of 20 megabytes, which an outbox without the current limits accepted, are never read. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

static void
open_unlimited(void)
{
    scene_open_unlimited();
    db_write_fast(scene.db);
}

TestSuite(relay_memory_texts, .init = open_unlimited, .fini = scene_close, .timeout = 240);

#define LARGEST_KIB (UINT64_C(32) * 1024)

static void
expect_small(const char *what)
{
    const uint64_t peak_kib = relay_peak_kib(scene.relay);
    (void)fprintf(stderr, "%s: peak memory %llu KiB\n", what, (unsigned long long)peak_kib);
    check(peak_kib <= LARGEST_KIB * SANITIZED_FACTOR, "%s: %llu KiB", what,
          (unsigned long long)peak_kib);
}

static void
insert_good(void)
{
    scene_exec("insert into outbox (routing_key, \"key\", payload) "
               "select '%s', concat('good', i), 'good' from " DB_SERIES("1", "200"),
               scene.queue);
}

static void
insert_huge(const char *column, unsigned count)
{
    scene_exec("insert into outbox (routing_key, \"%s\", payload) "
               "select '%s', concat(huge_text(), i), 'bad' from " DB_SERIES("1", "%u"),
               column, scene.queue, count);
}

/* What is too large is held, and all else is in the queue; the same when it is tried again from outbox_held. */
Test(relay_memory_texts, are_held)
{
    insert_good();
    insert_huge("key", 60);
    scene_exec("insert into outbox (routing_key, payload) "
               "select huge_text(), 'bad' from " DB_SERIES("1", "3"));
    insert_huge("exchange", 3);
    insert_huge("type", 3);
    insert_huge("content_type", 3);
    insert_good();
    scene_start_patient_relay(NULL);
    scene_await("the outbox is empty", "select not exists (select 1 from outbox)");
    scene_await("what is too large is held",
                "select count(*) = 72 from outbox_held where state <> 'waiting'");
    check(broker_count(scene.broker, scene.queue) == 400, "not all else came");
    expect_small("huge texts");
    operator_retry("true");
    scene_await("it is tried again",
                "select min(attempts) = 2 and max(attempts) = 2 from outbox_held");
    expect_small("huge texts that are held");
    relay_drain(scene.relay);
}
