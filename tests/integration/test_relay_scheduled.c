/* Promise: a message with deliver_after waits beside the outbox and goes out on time. Before that it stands in nobody's
 * way, not even its key's; from then on it is one of its key's like any other. Until then it can be cancelled. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

TestSuite(relay_scheduled, .init = scene_open, .fini = scene_close, .timeout = 240);

static struct consumer *consumer;

static void
start(const char *source)
{
    scene_start_relay(source);
    consumer = consumer_open(NULL, scene.queue);
}

static void
finish(void)
{
    consumer_close(consumer);
    scene_drain_relay();
}

/* key and wait as SQL has them: 'k', null; '1 s'. */
static void
insert_at(const char *key, const char *payload, const char *wait)
{
    scene_exec("insert into outbox (routing_key, key, payload, deliver_after) "
               "values ('%s', %s, '%s', now() + %s::interval)",
               scene.queue, key, payload, wait);
}

static void
insert_now(const char *key, const char *payload)
{
    insert_at(key, payload, "null");
}

static void
await_scheduled(int64_t count)
{
    scene_await("so many are scheduled",
                "select count(*) = %lld from outbox_held where state = 'scheduled'",
                (long long)count);
}

/* Its time comes now, and not whenever this machine gets there: so what must happen before that has happened. (Half a second
 * ahead, for the relay does not look again for what would have been due earlier.) */
static void
let_come_due(const char *payload)
{
    check(scene_count("with moved as (update outbox_held set next_attempt_at = clock_timestamp() + "
                      "interval '500 ms', deliver_after = clock_timestamp() + interval '500 ms' "
                      "where payload = '%s' and state = 'scheduled' returning id) "
                      "select count(*) from moved",
                      payload) == 1,
          "\"%s\" is not scheduled", payload);
}

#define FAR_OFF "'1 h'"

/* ---- on time -------------------------------------------------------------------------------------- */

#define ON_TIME_US (100 * (int64_t)CLOCK_MS_US * SANITIZED_FACTOR)

enum {
    PER_SECOND = 1000,
    SECONDS = 4,
    TIMED = PER_SECOND * SECONDS,
    ORDINARY = 400, /* one each hundredth of a second */
};

/* Their payload is when they are due, in microseconds since 1970. Half of them have a key. */
static void
insert_timed(void)
{
    scene_exec("insert into outbox (routing_key, key, payload, deliver_after) "
               "select '%s', case when i %% 2 = 0 then 'k' || i %% 50 end, "
               "(extract(epoch from due) * 1000000)::int8::text::bytea, due "
               "from generate_series(0, %d) as i, "
               "lateral (select now() + interval '2 s' + i * interval '1 s' / %d as due) as times "
               "order by random()",
               scene.queue, TIMED - 1, PER_SECOND);
}

/* Messages that wait for nothing, while the others become due: what they take is what anything takes on this machine now. Their
 * payload is "now " and when they were written. */
static void
begin_ordinary(PGconn *session)
{
    char sql[512];
    (void)snprintf(sql, sizeof(sql),
                   "do $$ begin perform pg_sleep(2); for i in 1..%d loop "
                   "insert into outbox (routing_key, payload) values ('%s', ('now ' || "
                   "(extract(epoch from clock_timestamp()) * 1000000)::int8)::bytea); commit; "
                   "perform pg_sleep(0.01); end loop; end $$",
                   ORDINARY, scene.queue);
    check(PQsendQuery(session, sql) == 1, "%s", PQerrorMessage(session));
}

static void
await_end(PGconn *session)
{
    for (PGresult *result = PQgetResult(session); result != NULL; result = PQgetResult(session)) {
        check(PQresultStatus(result) == PGRES_COMMAND_OK, "%s", PQerrorMessage(session));
        PQclear(result);
    }
}

static int
compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Nine of ten took less. */
static int64_t
nine_of_ten(const char *what, int64_t *times, unsigned count)
{
    qsort(times, count, sizeof(times[0]), compare);
    (void)fprintf(stderr, "%s: median %lld us, p90 %lld us, p99 %lld us\n", what,
                  (long long)times[count / 2], (long long)times[count / 10 * 9],
                  (long long)times[count / 100 * 99]);
    return times[count / 10 * 9];
}

/* How much later they came than a message may that waits for nothing; 0 or less: in time. None came before its time. */
static int64_t
measure_lateness_us(void)
{
    static int64_t late_us[TIMED];
    static int64_t ordinary_us[ORDINARY];
    unsigned timed = 0;
    unsigned ordinary = 0;
    while (timed < TIMED || ordinary < ORDINARY) {
        struct delivery delivery;
        consumer_take(consumer, &delivery);
        const bool waits = strncmp(delivery.body, "now ", 4) != 0;
        const int64_t from_us = strtoll(delivery.body + (waits ? 0 : 4), NULL, 10);
        const int64_t took_us = (int64_t)clock_wall_us() - from_us;
        check(took_us >= 0, "it came %lld us early", (long long)-took_us);
        check(waits ? timed < TIMED : ordinary < ORDINARY, "\"%s\" came twice", delivery.body);
        *(waits ? &late_us[timed++] : &ordinary_us[ordinary++]) = took_us;
    }
    const int64_t usual_us = nine_of_ten("ordinary", ordinary_us, ORDINARY);
    return nine_of_ten("late", late_us, TIMED) - ON_TIME_US - 4 * usual_us;
}

/* Promise: at a thousand due per second each goes out within a tenth of a second. This machine has other things to do: what it
 * needs for other messages at the same time, some times over, is allowed on top of that, one of three tries will do, and one of
 * ten may be later. */
Test(relay_scheduled, a_thousand_in_a_second_go_on_time)
{
    PGconn *session = pg_fixture_connect();
    int64_t best_us = INT64_MAX;
    start("sweep_interval = \"1h\"\n");
    for (unsigned i = 0; i < 3 && best_us > 0; i++) {
        begin_ordinary(session);
        insert_timed();
        const int64_t late_us = measure_lateness_us();
        best_us = late_us < best_us ? late_us : best_us;
        await_end(session);
        await_empty_outbox(scene.conn);
    }
    check(best_us <= 0, "late by %lld us", (long long)best_us);
    PQfinish(session);
    finish();
}

/* ---- order ---------------------------------------------------------------------------------------- */

/* Promise: scheduled messages of a key go in the order of their times, those of the same time in that of their ids. */
Test(relay_scheduled, those_of_a_key_go_in_the_order_of_their_times)
{
    char body[16];
    start(NULL);
    scene_exec(
        "insert into outbox (routing_key, key, payload, deliver_after) "
        "select '%s', 'k', ('n' || n)::bytea, "
        "now() + interval '1 s' + n / 10 * interval '1 ms' "
        "from (select i, (i %% 10) + 10 * (99 - i / 10) as n from generate_series(0, 999) as i) "
        "as numbered order by i",
        scene.queue);
    for (unsigned n = 0; n < 1000; n++) {
        (void)snprintf(body, sizeof(body), "n%u", n);
        consumer_expect(consumer, body);
    }
    await_empty_outbox(scene.conn);
    finish();
}

/* Promise: it blocks nobody before it is due; then it is behind what was written before, and before what is written after.
 */
Test(relay_scheduled, it_does_not_block_its_key_and_then_stands_in_its_order)
{
    start(NULL);
    insert_at("'k'", "scheduled", FAR_OFF);
    insert_now("'k'", "before");
    consumer_expect(consumer, "before");
    await_scheduled(1);
    let_come_due("scheduled");
    consumer_expect(consumer, "scheduled");
    insert_now("'k'", "after");
    consumer_expect(consumer, "after");
    await_empty_outbox(scene.conn);
    finish();
}

/* Their time comes while no relay runs. What is written before it has higher ids. */
static void
expect_behind(const char *source)
{
    start(source);
    insert_now("'k'", "start");
    consumer_expect(consumer, "start");
    await_empty_outbox(scene.conn);
    relay_kill(scene.relay);
    insert_at("'k'", "scheduled 2", "'1 s'");
    insert_at("'k'", "scheduled 1", "'900 ms'");
    insert_now("'k'", "before");
    scene_await("their time has come",
                "select count(*) = 2 from outbox where deliver_after < clock_timestamp()");
    relay_start_again(scene.relay);
    consumer_expect(consumer, "before");
    consumer_expect(consumer, "scheduled 1");
    consumer_expect(consumer, "scheduled 2");
    await_empty_outbox(scene.conn);
    finish();
}

/* Promise: its place does not depend on whether a relay ran when its time came. */
Test(relay_scheduled, one_whose_time_came_without_a_relay_passes_nothing)
{
    expect_behind(NULL);
}

Test(relay_scheduled, nor_does_it_with_strict)
{
    expect_behind("ordering = \"strict\"\n");
}

/* Promise: if its key is held back when it is due, it waits with the others, in its place. */
Test(relay_scheduled, it_waits_behind_a_held_message_of_its_key)
{
    const char *later = broker_name("later");
    start(NULL);
    insert_at("'k'", "scheduled", FAR_OFF);
    scene_exec("insert into outbox (routing_key, key, payload) values ('%s', 'k', 'held')", later);
    (void)relay_await_log(scene.relay, "event=message_refused", NULL); /* that it is held counts */
    insert_now("'k'", "before");
    scene_await("one waits", "select count(*) = 1 from outbox_held where state = 'waiting'");
    await_scheduled(1);
    let_come_due("scheduled");
    scene_await("it waits", "select count(*) = 2 from outbox_held where state = 'waiting'");
    insert_now("'k'", "after");
    scene_await("all wait", "select count(*) = 3 from outbox_held where state = 'waiting'");
    check(broker_count(scene.broker, scene.queue) == 0, "something of its key came");
    scene_exec("update outbox_held set routing_key = '%s' where payload = 'held'", scene.queue);
    consumer_expect(consumer, "held");
    consumer_expect(consumer, "before");
    consumer_expect(consumer, "scheduled");
    consumer_expect(consumer, "after");
    await_empty_outbox(scene.conn);
    finish();
}

/* Promise: what is due already when it is written is a message like any other, also for a relay that reads it later. */
Test(relay_scheduled, a_time_that_is_past_is_none)
{
    scene_exec("insert into outbox (routing_key, key, payload, deliver_after) values "
               "('%s', 'k', 'first', null), ('%s', 'k', 'second', '-infinity'), "
               "('%s', 'k', 'third', now()), ('%s', 'k', 'fourth', null)",
               scene.queue, scene.queue, scene.queue, scene.queue);
    start(NULL);
    consumer_expect(consumer, "first");
    consumer_expect(consumer, "second");
    consumer_expect(consumer, "third");
    consumer_expect(consumer, "fourth");
    await_empty_outbox(scene.conn);
    finish();
}

/* ---- cancelled ------------------------------------------------------------------------------------ */

#define MESSAGE_ID "01890a5d-ac96-774b-bcce-b302099a8057"

static bool
cancel(void)
{
    return scene_count("select outbox_cancel('" MESSAGE_ID "')::int") == 1;
}

static void
insert_to_cancel(void)
{
    scene_exec("insert into outbox (message_id, routing_key, key, payload, deliver_after) "
               "values ('" MESSAGE_ID "', '%s', 'k', 'cancelled', now() + interval " FAR_OFF ")",
               scene.queue);
}

Test(relay_scheduled, it_can_be_cancelled_before_the_relay_has_seen_it)
{
    insert_to_cancel();
    check(cancel(), "it was not cancelled");
    check(!cancel(), "it was cancelled twice");
    start(NULL);
    insert_at("'k'", "later", "'1 s'");
    consumer_expect(consumer, "later");
    await_empty_outbox(scene.conn);
    finish();
}

Test(relay_scheduled, it_can_be_cancelled_when_the_relay_has_set_it_aside)
{
    start(NULL);
    insert_to_cancel();
    insert_at("'k'", "later", FAR_OFF);
    await_scheduled(2);
    check(cancel(), "it was not cancelled");
    check(!cancel(), "it was cancelled twice");
    let_come_due("later");
    consumer_expect(consumer, "later");
    await_empty_outbox(scene.conn);
    finish();
}

/* Promise: true means that it does not go, false that it is out of reach; whatever the relay does at that moment. */
Test(relay_scheduled, cancelled_while_they_become_due_they_go_or_do_not)
{
    struct delivery delivery;
    bool gone[400] = {0};
    start(NULL);
    scene_exec("create table victim as select gen_random_uuid() as id, i from generate_series(0, "
               "399) as i; "
               "insert into outbox (message_id, routing_key, key, payload, deliver_after) "
               "select id, '%s', 'k' || i %% 7, i::text::bytea, "
               "now() + interval '100 ms' + i * interval '5 ms' from victim",
               scene.queue);
    for (unsigned i = 0; i < 400; i++) { /* about at the pace at which they become due */
        gone[i] =
            scene_count("select outbox_cancel(id)::int from victim, pg_sleep(0.004) where i = %u",
                        i) == 1;
    }
    scene_await("all are through",
                "select not exists (select from outbox_held) and not exists (select from outbox)");
    insert_now("null", "end");
    while (consumer_take(consumer, &delivery), strcmp(delivery.body, "end") != 0) {
        const unsigned long i = strtoul(delivery.body, NULL, 10);
        check(i < 400 && !gone[i], "\"%s\" was cancelled, or came twice", delivery.body);
        gone[i] = true;
    }
    for (unsigned i = 0; i < 400; i++) {
        check(gone[i], "%u was neither cancelled nor sent", i);
    }
    finish();
}

/* ---- never, and after a restart ------------------------------------------------------------------- */

/* Promise: what is never due waits for ever, hurts nobody, and can be cancelled. */
Test(relay_scheduled, infinity_never_comes)
{
    start(NULL);
    scene_exec("insert into outbox (message_id, routing_key, key, payload, deliver_after) "
               "values ('" MESSAGE_ID "', '%s', 'k', 'never', 'infinity')",
               scene.queue);
    insert_at("'k'", "in time", "'1 s'");
    insert_now("'k'", "now");
    consumer_expect(consumer, "now");
    consumer_expect(consumer, "in time");
    await_scheduled(1);
    await_empty_outbox(scene.conn);
    relay_kill(scene.relay);
    relay_start_again(scene.relay);
    insert_at("'k'", "after a restart", "'1 s'");
    consumer_expect(consumer, "after a restart");
    await_scheduled(1);
    check(cancel(), "it was not cancelled");
    await_scheduled(0);
    check(relay_logged(scene.relay, "level=error") == 0, "the relay had trouble");
    finish();
}

/* Promise: schedules survive the relay, however it ends; what became due meanwhile goes when it is back. */
Test(relay_scheduled, they_survive_the_relay)
{
    start(NULL);
    insert_at("'k'", "first", FAR_OFF);
    insert_at("'k'", "second", FAR_OFF);
    insert_at("'k'", "third", FAR_OFF);
    await_scheduled(3);
    relay_kill(scene.relay);
    let_come_due("first");
    scene_await("the first is due",
                "select count(*) = 1 from outbox_held where deliver_after < now()");
    relay_start_again(scene.relay);
    consumer_expect(consumer, "first");
    scene_await("nothing of the first is left", "select not exists (select from outbox)");
    relay_drain(scene.relay);
    relay_start_again(scene.relay);
    await_scheduled(2);
    let_come_due("second");
    consumer_expect(consumer, "second");
    await_scheduled(1);
    let_come_due("third");
    consumer_expect(consumer, "third");
    await_empty_outbox(scene.conn);
    finish();
}

/* Promise: a crowd of them for later costs those for now nothing but its own move. */
Test(relay_scheduled, many_for_later_do_not_keep_others)
{
    traffic_set_up(scene.conn);
    scene_start_relay("sweep_interval = \"1h\"\n");
    scene_exec("insert into outbox (routing_key, key, payload, deliver_after) "
               "select '%s', 'k' || i %% 20, 'never', now() + interval '1 day' "
               "from generate_series(1, 20000) as i",
               scene.queue);
    traffic_burst(scene.conn, scene.queue, 20, 100);
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.conn);
    check(duplicates == 0, "%llu came twice without a reason", (unsigned long long)duplicates);
    await_scheduled(20000);
    scene_drain_relay();
}
