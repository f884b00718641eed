/* Messages whose time has not come, and what the source does when it comes. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/source_held_fixture.h"

TestSuite(source_scheduled, .init = held_create, .fini = held_drop, .timeout = 120);

/* Scheduled messages 1 to 7: 6 is due first, then 2 and 4, then 1; the others are not due. */
static void
schedule(void)
{
    struct hold holds[7];
    held_run("insert into outbox (routing_key, \"key\", headers, payload, deliver_after) values "
             "('x', 'k', '{}', 'x', from_now(-60)), ('x', 'k', '{}', 'x', from_now(-120)), "
             "('x', 'k', '{}', 'x', last_time()), ('x', 'k', '{}', 'x', from_now(-120)), "
             "('x', 'k', '{}', 'x', from_now(3600)), ('x', 'k', '{}', 'x', first_time()), "
             "('x', 'k', '{}', 'x', from_now(7200))");
    for (int i = 0; i < 7; i++) {
        holds[i] = (struct hold){.id = i + 1, .state = HELD_SCHEDULED};
    }
    held_hold(holds, 7);
    /* As if they had become due after they were set aside. */
    held_run("update outbox_held set next_attempt_at = deliver_after");
}

Test(source_scheduled, wakes_in_the_order_of_their_times_under_new_ids)
{
    char names[7][40];
    char expected[200];
    schedule();
    for (int i = 0; i < 7; i++) {
        char sql[100];
        (void)snprintf(sql, sizeof(sql),
                       "select id_text(message_id) from outbox_held where id = %d",
                       i + 1); /* fits */
        (void)snprintf(names[i], sizeof(names[i]), "%s", db_text(admin, sql));
    }
    held_run("insert into outbox (routing_key, \"key\", payload) values ('before', 'k', 'y')");
    struct source_woken woken = source_fixture_wake(source, 3);
    cr_assert(woken.count == 3 && woken.next_in_us == 0 && !woken.acts, "one more is due");
    held_run("insert into outbox (routing_key, \"key\", payload) values ('between', 'k', 'y')");
    woken = source_fixture_wake(source, 3);
    cr_assert_eq(woken.count, 1);
    cr_assert(woken.next_in_us > HOUR_US - 60 * CLOCK_S_US && woken.next_in_us <= HOUR_US);
    (void)snprintf(expected, sizeof(expected), "%s,%s,%s,%s", names[5], names[1], names[3],
                   names[0]); /* fits */
    held_expect_text("select group_concat(id_text(message_id) order by id) from outbox where "
                     "payload = 'x' and deliver_after is null",
                     expected);
    held_expect_text("select group_concat(routing_key order by id) from outbox",
                     "before,x,x,x,between,x");
    held_expect_text(HELD_IDS("outbox_held"), "3,5,7");
    source_fixture_await_final(
        source, held_count("select max(id) from outbox")); /* its own inserts do not delay it */
    struct batch *batch = source_fixture_fetch(
        source, (struct fetch){.kind = FETCH_NEXT, .rows_max = 10, .bytes_max = 1000});
    cr_assert_eq(batch->count, 6);
    cr_assert(!batch->rows[1].scheduled && batch->rows[1].payload.size == 1);
    batch_free(batch);
}

/* The next look begins where the last one ended, and must find all that becomes due later. */
Test(source_scheduled, wakes_what_comes_due_later)
{
    schedule();
    cr_assert_eq(source_fixture_wake(source, 2).count, 2);
    cr_assert_eq(source_fixture_wake(source, 1).count, 1, "another with the time of the last");
    cr_assert_eq(source_fixture_wake(source, 10).count, 1);
    held_run("insert into outbox (payload, deliver_after) values ('x', from_now(-3600)), "
             "('y', from_now(3600))");
    const int64_t late = held_count("select max(id) from outbox");
    const struct hold holds[] = {{.id = late - 1, .state = HELD_SCHEDULED},
                                 {.id = late, .state = HELD_SCHEDULED}};
    held_hold(holds, 2);
    cr_assert_eq(source_fixture_wake(source, 10).count, 1, "it became due on the way");
    held_run("start transaction");
    held_run("update outbox_held set next_attempt_at = from_now(-300) where payload = 'y'");
    held_run("insert into outbox_held_act (who, what, message_id, held_id, state) values "
             "('me', 'retry', new_id(), 1, 'scheduled')");
    held_run("commit");
    struct source_woken woken = source_fixture_wake(source, 10);
    cr_assert(woken.acts);
    if (woken.count == 0) { /* unless this look began at the front */
        woken = source_fixture_wake(source, 10);
    }
    cr_assert_eq(woken.count, 1, "an operator's act");
}

Test(source_scheduled, what_is_due_never_is_never_woken)
{
    struct source_woken woken = source_fixture_wake(source, 10);
    cr_assert(woken.count == 0 && woken.next_in_us == CLOCK_NEVER_US && !woken.acts);
    schedule();
    held_run("delete from outbox_held where id <> 3");
    woken = source_fixture_wake(source, 10);
    cr_assert(woken.count == 0 && held_is_never(woken.next_in_us));
    held_run("update outbox_held set next_attempt_at = from_now(0)");
    woken = source_fixture_wake(source, 10);
    cr_assert(woken.count == 1 && woken.next_in_us == CLOCK_NEVER_US);
}

Test(source_scheduled, what_cannot_be_woken_stays_scheduled)
{
    schedule();
    held_be_without_right("insert", "outbox");
    source->ops->wake(source, 10, clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_LOST);
    cr_assert_eq(held_count("select count(*) from outbox_held where state = 'scheduled'"), 7);
    cr_assert_eq(held_count("select count(*) from outbox"), 0);
}

/* The message with a key is dead, and holds back no other; the one without a key is tried from outbox_held. */
Test(source_scheduled, what_cannot_be_woken_is_set_aside)
{
    schedule();
    held_run("update outbox_held set \"key\" = null, payload = 'bad' where id = 2");
    held_run("update outbox_held set payload = 'bad' where id = 4");
    db_forbid(admin, "insert", "outbox", "new.payload = 'bad'");
    source->ops->wake(source, 8, clock_monotonic_us());
    struct source_event event = source_fixture_next(source);
    for (int notices = 0; event.type != SOURCE_WOKEN; event = source_fixture_next(source)) {
        cr_assert(event.type == SOURCE_NOTICE || event.type == SOURCE_ALIVE);
        if (event.type == SOURCE_NOTICE) {
            cr_assert_not_null(strstr(event.notice.error.text, "forbidden"));
            cr_assert_leq(++notices, 2);
        }
    }
    bool acts = event.woken.acts;
    for (int i = 0; i < 5 && held_count("select count(*) from outbox") < 2; i++) {
        acts |= source_fixture_wake(source, 10).acts;
    }
    cr_assert(acts, "the heads are others now");
    cr_assert_eq(held_count("select count(*) from outbox"), 2);
    held_expect_text("select group_concat(concat_ws('|', id, state, " HELD_SKIPPED
                     ", " HELD_HAS_TIME
                     ") order by id) from outbox_held where state <> 'scheduled'",
                     "2|retrying|0|1,4|dead|1|0");
}

/* The statement of docs/PRODUCING.md. */
static bool
cancel(struct db *db, const char *table, int id)
{
    char sql[100];
    char name[40];
    (void)snprintf(sql, sizeof(sql), "select id_text(message_id) from %s where id = %d", table,
                   id);                                         /* fits */
    (void)snprintf(name, sizeof(name), "%s", db_text(db, sql)); /* fits */
    return name[0] != '\0' && db_cancel(db, name);
}

/* A message can be cancelled in both tables. */
Test(source_scheduled, a_scheduled_message_can_be_cancelled)
{
    held_run("insert into outbox (payload, deliver_after) values ('1', from_now(3600)), "
             "('2', from_now(3600)), ('3', null)");
    held_hold(&(struct hold){.id = 2, .state = HELD_SCHEDULED}, 1);
    cr_assert(cancel(admin, "outbox", 1) && cancel(admin, "outbox_held", 2));
    cr_assert_not(cancel(admin, "outbox", 3), "it is not scheduled");
    held_expect_text(HELD_IDS("outbox"), "3");
    cr_assert_eq(held_count("select count(*) from outbox_held"), 0);
    const struct hold late = {.id = 1, .state = HELD_SCHEDULED};
    const struct source_held held = source_fixture_hold(source, &late, 1);
    cr_assert(held.missing_count == 1 && held.missing[0] == 1);
    free(held.missing);
}

/* A row that is locked by an open transaction delays no other. */
Test(source_scheduled, what_is_locked_is_left_for_later)
{
    const struct fetch due_heads = {.kind = FETCH_HEADS, .rows_max = 10, .bytes_max = 1000};
    struct db *other = db_connect();
    held_run("insert into outbox (payload, deliver_after) values ('1', from_now(3600)), "
             "('2', from_now(3600)), ('3', from_now(3600)), ('4', null), ('5', null)");
    const struct hold holds[] = {{.id = 1, .state = HELD_SCHEDULED},
                                 {.id = 4, .state = HELD_RETRYING, .reason = "r"},
                                 {.id = 5, .state = HELD_RETRYING, .reason = "r"}};
    held_hold(holds, 3);
    held_run("update outbox_held set next_attempt_at = from_now(-1) where id <> 1");
    db_exec(other, "start transaction");
    cr_assert(cancel(other, "outbox_held", 1) && cancel(other, "outbox", 2));
    db_exec(other, "update outbox_held set headers = '{}' where id = 4");
    const struct hold scheduled[] = {{.id = 2, .state = HELD_SCHEDULED},
                                     {.id = 3, .state = HELD_SCHEDULED}};
    const struct source_held held = source_fixture_hold(source, scheduled, 2);
    cr_assert(held.missing_count == 1 && held.missing[0] == 2,
              "the locked one was waited for, or moved");
    free(held.missing);
    struct batch *batch = source_fixture_fetch(source, due_heads);
    cr_assert(batch->count == 1 && batch->rows[0].id == 5, "%zu", batch->count);
    batch_free(batch);
    held_run("update outbox_held set next_attempt_at = from_now(-1) where id = 3");
    cr_assert_eq(source_fixture_wake(source, 10).count, 1);
    db_exec(other, "rollback");
    batch = source_fixture_fetch(source, due_heads);
    cr_assert_eq(batch->count, 2);
    batch_free(batch);
    db_close(other);
}
