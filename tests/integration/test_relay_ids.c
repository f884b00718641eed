/* Promise: any id but the very lowest one works, up to the last one of the sequence. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

TestSuite(relay_ids, .init = scene_open_route, .fini = scene_close, .timeout = 240);

#define LOWEST "-9223372036854775807"
#define HIGHEST "9223372036854775807"

static void
insert(const char *id, const char *key, const char *routing_key)
{
    scene_exec("insert into outbox (id, \"key\", routing_key, payload) %s values "
               "(%s, '%s', '%s', 'id %s')",
               db_own_ids(), id, key, routing_key, id);
}

Test(relay_ids, both_ends)
{
    static const char *const ids[] = {LOWEST, "-1", "0", "1", HIGHEST};
    for (size_t i = sizeof(ids) / sizeof(ids[0]); i > 0; i--) {
        insert(ids[i - 1], "k", scene.queue);
    }
    scene_start_relay(NULL);
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char body[40];
        (void)snprintf(body, sizeof(body), "id %s", ids[i]); /* fits */
        consumer_expect(consumer, body);
    }
    await_empty_outbox(scene.db);
    consumer_close(consumer);
    relay_drain(scene.relay);
}

/* Both are refused, held with the messages behind them, and moved back. */
Test(relay_ids, both_ends_are_held_and_go_back)
{
    static const char *const keys[] = {"a", "b"};
    insert(LOWEST, "a", "nobody");
    insert("0", "b", "nobody");
    scene_start_patient_relay(NULL);
    scene_await("they are held", "select count(*) = 2 from outbox_held where state = 'retrying'");
    relay_drain(scene.relay); /* a running relay finds rows below its cursor late */
    insert("-1", "a", scene.queue);
    insert(HIGHEST, "b", scene.queue);
    relay_start_again(scene.relay);
    scene_await("the others wait", "select count(*) = 2 from outbox_held where state = 'waiting'");
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    scene_bind("nobody");
    operator_retry("true");
    const char *last[2] = {"", ""};
    static const char *const expected[2][2] = {{"id " LOWEST, "id -1"}, {"id 0", "id " HIGHEST}};
    for (size_t taken[2] = {0, 0}; taken[0] + taken[1] < 4;) {
        struct delivery delivery;
        consumer_take(consumer, &delivery);
        const size_t key = strcmp(delivery.body, expected[0][taken[0] % 2]) == 0 ? 0 : 1;
        check(taken[key] < 2 && strcmp(delivery.body, expected[key][taken[key]]) == 0,
              "\"%s\" came after \"%s\" of key %s", delivery.body, last[key], keys[key]);
        last[key] = expected[key][taken[key]++];
    }
    await_empty_outbox(scene.db);
    consumer_close(consumer);
    relay_drain(scene.relay);
}

static void
await_dead(const char *words)
{
    scene_await("it is told",
                "select count(*) = 1 from outbox_held where state = 'dead' and last_error like "
                "'%%%s%%'",
                words);
    (void)relay_await_log(scene.relay, "event=source_notice", words);
}

/* The server refuses further inserts, but what is written is sent. A scheduled message needs a new id, and reports that
 * there is none. */
Test(relay_ids, the_sequence_is_at_its_end)
{
    scene_exec("insert into outbox (\"key\", routing_key, payload, deliver_after) "
               "values ('k', '%s', 'later', last_time())",
               scene.queue);
    insert(HIGHEST, "last", scene.queue);
    db_use_up_ids(scene.db);
    scene_start_relay(NULL);
    struct consumer *consumer = consumer_open(NULL, scene.queue);
    consumer_expect(consumer, "id " HIGHEST);
    scene_await("the other waits",
                "select count(*) = 1 from outbox_held where state = 'scheduled'");
    await_empty_outbox(scene.db);
    scene_exec("update outbox_held set next_attempt_at = from_now(0), deliver_after = from_now(0); "
               "insert into outbox_held_act (who, what, message_id, held_id, \"key\", state) "
               "select 'the test', 'retry', message_id, id, \"key\", state from outbox_held");
    const char *words = db_words_without_ids(scene.db);
    if (words != NULL) {
        await_dead(words);
        relay_drain(scene.relay);
    } else { /* until the next sweep, a tailing relay takes it for the row that had its id */
        scene_await("it is back", "select count(*) = 0 from outbox_held");
        relay_drain(scene.relay);
        relay_start_again(scene.relay);
        consumer_expect(consumer, "later");
        relay_drain(scene.relay);
    }
    consumer_close(consumer);
}
