/* Rows that cannot be read, moved or deleted: each is only its own message's problem. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/source_held_fixture.h"

#define MANY 200

TestSuite(source_hostile, .init = held_create, .fini = held_drop, .timeout = 120);

static void
settle_all(const int64_t *failed, size_t failed_count, const char *why)
{
    source_fixture_expect_failures(source_fixture_settle(source, MANY), failed, failed_count, why);
}

/* Rows of another table refer to these rows, which therefore cannot be deleted. */
static void
refer_to(const char *values)
{
    char sql[200];
    source_fixture_insert(admin, MANY);
    (void)snprintf(sql, sizeof(sql),
                   "create table mine (id bigint, foreign key (id) references outbox (id)); "
                   "insert into mine values %s",
                   values); /* fits */
    held_run(sql);
}

/* ---- deleting ------------------------------------------------------------------------------------------- */

Test(source_hostile, a_row_that_must_not_be_deleted)
{
    const int64_t failed[] = {7, 130};
    refer_to("(7), (130)");
    settle_all(failed, 2, source_fixture_kind()->words_referenced);
    held_expect_text(HELD_IDS("outbox"), "7,130");
    held_run("delete from mine");
    settle_all(NULL, 0, "");
    cr_assert_eq(held_count("select count(*) from outbox"), 0);
}

/* A row that others have deleted is no failure. */
Test(source_hostile, a_row_that_a_trigger_keeps)
{
    const int64_t failed[] = {7, 130};
    source_fixture_insert(admin, MANY);
    held_run("delete from outbox where id = 9");
    db_forbid(admin, "delete", "outbox", "old.id in (7, 130)");
    settle_all(failed, 2, "forbidden");
    held_expect_text(HELD_IDS("outbox"), "7,130");
}

/* The same when sent messages are recorded: those that could not be deleted are not recorded. */
Test(source_hostile, what_cannot_be_deleted_is_not_remembered_as_sent)
{
    const int64_t failed[] = {7};
    config.keep_sent_us = 3600 * CLOCK_S_US;
    held_reopen();
    refer_to("(7)");
    settle_all(failed, 1, source_fixture_kind()->words_referenced);
    cr_assert_eq(held_count(db_sent_count()), MANY - 1);
    cr_assert_eq(
        held_count(db_choose("select count(*) from outbox_sent_batch where 7 = any(ids)",
                             "select count(*) from outbox_sent_batch where find_in_set(7, ids)")),
        0);
}

/* An error that all rows would have is not blamed on them. */
Test(source_hostile, a_privilege_that_is_gone_is_no_rows_fault)
{
    static const int64_t ids[] = {1, 2, 3};
    source_fixture_insert(admin, 3);
    held_be_without_right("delete", "outbox");
    source->ops->settle(source, ids, 3, clock_monotonic_us());
    const struct error lost = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_eq(lost.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(lost.text, "a privilege is missing"), "%s", lost.text);
}

/* If the list has most of the table's rows, a server may read the whole table instead, and wait for locked rows. */
Test(source_hostile, a_row_of_an_open_transaction_keeps_nobody_from_being_deleted)
{
    struct db *other = db_connect();
    source_fixture_insert(admin, MANY);
    db_exec(other, "begin");
    source_fixture_insert(other, 1);
    const uint64_t before_us = clock_monotonic_us();
    settle_all(NULL, 0, "");
    cr_assert_lt(clock_monotonic_us() - before_us, config.takeover_us / 8, "it has waited");
    db_exec(other, "rollback");
    db_close(other);
}

/* The relay is blocked by another session for all this time. */
static void
wait_blocked_for(uint64_t us, int64_t owner)
{
    const uint64_t until_us = clock_monotonic_us() + us;
    do {
        db_wait_blocked(admin, owner);
    } while (clock_monotonic_us() < until_us);
}

/* Somebody changes a row for longer than a statement waits: the relay goes on waiting. */
Test(source_hostile, a_row_that_is_locked_is_waited_for)
{
    const int64_t ids[] = {1, 2, 3};
    struct db *other = db_connect();
    config.takeover_us = 8 * CLOCK_S_US; /* each of its waits takes a second */
    held_reopen();
    source_fixture_insert(admin, 3);
    db_exec(other, "begin; update outbox set type = 't' where id = 2");
    source->ops->settle(source, ids, 3, clock_monotonic_us());
    wait_blocked_for(1500 * CLOCK_MS_US, db_owner(admin)); /* one of its waits is over */
    db_exec(other, "commit");
    source_fixture_expect_failures(source_fixture_expect(source, SOURCE_SETTLED).settled.failures,
                                   NULL, 0, "");
    cr_assert_eq(held_count("select count(*) from outbox"), 0);
    db_close(other);
}

/* Changes these two rows, the second one first, while the relay has locked the first one and waits for the second. The server then
 * undoes the relay's statement; its session goes on, and nothing that it has in hand is sent again. */
static struct db *
deadlock_begins(int64_t second)
{
    char sql[100];
    struct db *other = db_connect();
    db_begin_winner(other);
    (void)snprintf(sql, sizeof(sql), "update outbox set type = 't' where id = %ld", second);
    db_exec(other, sql);
    config.takeover_us = 60 * CLOCK_S_US; /* so that no wait for a lock ends before */
    held_reopen();
    return other;
}

static void
deadlock_ends(struct db *other, int64_t first)
{
    char sql[100];
    db_wait_blocked(admin, db_owner(admin));
    (void)snprintf(sql, sizeof(sql), "update outbox set type = 't' where id = %ld; commit", first);
    db_exec(other, sql);
    db_close(other);
}

Test(source_hostile, a_deadlock_while_rows_are_deleted)
{
    const int64_t ids[] = {1, 2, 3};
    source_fixture_insert(admin, 3);
    struct db *other = deadlock_begins(2);
    source->ops->settle(source, ids, 3, clock_monotonic_us());
    deadlock_ends(other, 1);
    source_fixture_expect_failures(source_fixture_expect(source, SOURCE_SETTLED).settled.failures,
                                   NULL, 0, "");
    cr_assert_eq(held_count("select count(*) from outbox"), 0);
}

Test(source_hostile, a_deadlock_while_rows_are_set_aside)
{
    static const struct hold holds[] = {{.id = 1, .state = HELD_RETRYING, .reason = "r"},
                                        {.id = 2, .state = HELD_RETRYING, .reason = "r"}};
    source_fixture_insert(admin, 3);
    struct db *other = deadlock_begins(2);
    source->ops->hold(source, holds, 2, clock_monotonic_us());
    deadlock_ends(other, 1);
    const struct source_held held = source_fixture_expect(source, SOURCE_HELD).held;
    cr_assert_eq(held.missing_count, 0);
    source_fixture_expect_failures(held.failures, NULL, 0, "");
    cr_assert_eq(held_count("select count(*) from outbox_held"), 2);
}

/* ---- moving --------------------------------------------------------------------------------------------- */

/* It is one among many: the others move. */
Test(source_hostile, a_row_that_cannot_be_set_aside)
{
    static struct hold holds[MANY];
    const int64_t failed[] = {3, 77};
    source_fixture_insert(admin, MANY);
    db_forbid(admin, "insert", "outbox_held", "new.id in (3, 77)");
    for (int i = 0; i < MANY; i++) {
        holds[i] = (struct hold){.id = i + 1, .state = HELD_RETRYING, .reason = "r"};
    }
    source_fixture_expect_failures(source_fixture_hold(source, holds, MANY).failures, failed, 2,
                                   "forbidden");
    held_expect_text(HELD_IDS("outbox"), "3,77");
    cr_assert_eq(held_count("select count(*) from outbox_held"), MANY - 2);
}

/* Messages that a relay set aside from a table without limits; their characters have two bytes each. */
static void
hold_larger(const char *state)
{
    char sql[900];
    (void)snprintf(
        sql, sizeof(sql),
        "insert into outbox_held (id, message_id, routing_key, \"key\", type, payload, created_at, "
        "state, "
        "next_attempt_at) select i, new_id(), case when i = 3 then repeat('\303\251', 200) else '' "
        "end, case when i = 2 then repeat('\303\251', 600) when i < 5 then concat('k', i) end, "
        "case when i = 5 then repeat('\303\251', 200) end, 'x', from_now(-60), '%s', from_now(-60) "
        "from " DB_SERIES("1", "%d"),
        state, strcmp(state, "waiting") == 0 ? 4 : 5); /* fits; a waiting message has a key */
    held_run(sql);
}

/* It could be sent from outbox_held, so the error names ways out. */
Test(source_hostile, one_that_waits_is_larger_than_the_outbox_takes)
{
    static const char *const limits[] = {NULL, "outbox_key_1024_bytes",
                                         "outbox_routing_key_255_bytes", NULL};
    hold_larger("waiting");
    for (int64_t id = 1; id <= 4; id++) {
        char sql[100];
        (void)snprintf(sql, sizeof(sql), "select hash_of(\"key\") from outbox_held where id = %d",
                       (int)id); /* fits */
        const int64_t key = held_count(sql);
        const struct release release = {.keys = &key, .key_count = 1, .rows_max = 100};
        const struct source_failures failures = source_fixture_release(source, release).failures;
        const char *const limit = limits[id - 1];
        cr_assert(limit == NULL || failures.count == 0 ||
                      strstr(failures.items[0].reason, ", or discard it") != NULL,
                  "%s", failures.items[0].reason);
        source_fixture_expect_failures(failures, &id, limit != NULL, limit != NULL ? limit : "");
    }
    held_expect_text(HELD_IDS("outbox_held"), "2,3");
}

static void
expect_last_error(int64_t id, const char *state, const char *limit)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "select concat_ws(' ', state, last_error) from outbox_held where id = %d",
                   (int)id); /* fits */
    const char *const told = db_text(admin, sql);
    cr_assert(strncmp(told, state, strlen(state)) == 0 &&
                  strstr(told, "its time has come, and it cannot go to the outbox: ") != NULL &&
                  strstr(told, limit) != NULL && strstr(told, ", or discard it") != NULL,
              "%s", told);
}

/* A message without a key is tried from outbox_held. */
Test(source_hostile, one_whose_time_comes_is_larger_than_the_outbox_takes)
{
    hold_larger("scheduled");
    for (unsigned i = 0; i < 10 && source_fixture_wake(source, 100).next_in_us == 0; i++) {
    }
    cr_assert_eq(held_count("select count(*) from outbox"), 2);
    held_expect_text(HELD_IDS("outbox_held"), "2,3,5");
    expect_last_error(2, "dead", "outbox_key_1024_bytes");
    expect_last_error(3, "dead", "outbox_routing_key_255_bytes");
    expect_last_error(5, "retrying", "outbox_type_255_bytes");
}

/* ---- reading -------------------------------------------------------------------------------------------- */

static void
hold_all(void)
{
    held_run("insert into outbox_held (id, message_id, routing_key, headers, payload, created_at, "
             "state, next_attempt_at) select id, message_id, routing_key, headers, payload, "
             "created_at, 'retrying', from_now(-60) from outbox; delete from outbox");
}

Test(source_hostile, headers_that_can_never_be_sent)
{
    const int64_t withheld[] = {2};
    db_lift_limits(admin);
    held_run("insert into outbox (headers, payload) values ('{\"a\": 1}', '1'), "
             "(as_headers(concat('{\"a\": \"', repeat('x', 600000), '\"}')), '2'), "
             "(as_headers(concat('{\"a\": \"', repeat('x', 600), '\"}')), '3'), (null, '4')");
    (void)source_fixture_read_all(source, FETCH_NEXT, 4, withheld, 1, "headers");
    hold_all();
    (void)source_fixture_read_all(source, FETCH_HEADS, 4, withheld, 1, "headers");
}

Test(source_hostile, a_null_that_must_not_be)
{
    const int64_t withheld[] = {2, 3, 4};
    db_lift_limits(admin);
    db_lift_not_null(admin);
    held_run("insert into outbox (payload) values ('1'), (null), ('3'), ('4'), ('5'); "
             "update outbox set message_id = null where id = 3; "
             "update outbox set created_at = null where id = 4; "
             "update outbox set routing_key = null where id = 5");
    (void)source_fixture_read_all(source, FETCH_NEXT, 5, withheld, 3, "NULL");
}
