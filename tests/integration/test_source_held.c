/* What the source does with messages that are set aside. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/source_held_fixture.h"

TestSuite(source_held, .init = held_create, .fini = held_drop, .timeout = 120);

static int64_t
hash_of(const char *key)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "select hash_of('%s')", key); /* fits */
    return held_count(sql);
}

/* Every column that the two tables share. */
#define MESSAGES                                                                               \
    "select group_concat(concat_ws('|', id, id_text(message_id), coalesce(exchange, 'none'), " \
    "routing_key, \"key\", type, content_type, headers, hex(payload), created_at, "            \
    "coalesce(cast(deliver_after as char(40)), 'none')) order by id) from "

static void
insert_messages(void)
{
    char sql[700];
    (void)snprintf(
        sql, sizeof(sql),
        "insert into outbox (exchange, routing_key, \"key\", type, content_type, headers, payload, "
        "created_at, deliver_after) values "
        "('e', 'r', 'a', 't', 'c', '{\"h\": 1}', unhex('0001ff'), as_time('2026-01-01'), null), "
        "(null, '', null, null, null, null, '', %s, from_now(3600)), "
        "('', 'r', 'a', null, null, null, 'x', from_now(0), null), "
        "('e', 'r', 'b', null, null, null, 'y', from_now(0), last_time())",
        source_fixture_kind()->first_time); /* fits */
    held_run(sql);
}

Test(source_held, messages_move_as_they_are)
{
    char before[4096];
    insert_messages();
    (void)snprintf(before, sizeof(before), "%s", db_text(admin, MESSAGES "outbox"));
    const struct hold holds[] = {
        {.id = 4, .state = HELD_DEAD, .skipped = true, .attempts = 9, .reason = "too bad"},
        {.id = 1,
         .state = HELD_RETRYING,
         .attempts = 2,
         .retry_after_us = HOUR_US,
         .reason = "unroutable: \"x\", '\\ \xe2\x82\xac"},
        {.id = 2, .state = HELD_SCHEDULED},
        {.id = 3, .state = HELD_WAITING},
    };
    held_hold(holds, 4);
    cr_assert_eq(held_count("select count(*) from outbox"), 0);
    held_expect_text(MESSAGES "outbox_held", before);
    held_expect_text("select group_concat(concat_ws('|', id, state, " HELD_SKIPPED
                     ", attempts, last_error) order by id) from outbox_held",
                     "1|retrying|0|2|unroutable: \"x\", '\\ \xe2\x82\xac,2|scheduled|0|0,"
                     "3|waiting|0|0,4|dead|1|9|too bad");
    cr_assert_eq(
        held_count("select count(*) from outbox_held where extra is null and held_at <= "
                   "from_now(0) and case state when 'retrying' then epoch_us(next_attempt_at) "
                   "- epoch_us(held_at) = 3600000000 when 'scheduled' then next_attempt_at = "
                   "deliver_after else next_attempt_at is null end"),
        4);
}

Test(source_held, says_which_are_in_neither_table)
{
    insert_messages();
    held_run("delete from outbox where id = 2");
    held_hold(&(struct hold){.id = 3, .state = HELD_WAITING}, 1);
    const struct hold holds[] = {
        {.id = 99, .state = HELD_WAITING},  {.id = 1, .state = HELD_RETRYING, .reason = "r"},
        {.id = 3, .state = HELD_WAITING},   {.id = 2, .state = HELD_SCHEDULED},
        {.id = -5, .state = HELD_RETRYING},
    };
    const struct source_held held = source_fixture_hold(source, holds, 5);
    cr_assert_eq(held.missing_count, 3);
    int64_t sum = 0;
    for (size_t i = 0; i < 3; i++) {
        cr_assert(held.missing[i] == 99 || held.missing[i] == 2 || held.missing[i] == -5);
        sum += held.missing[i];
    }
    cr_assert_eq(sum, 96, "each once");
    free(held.missing);
    cr_assert_eq(source_fixture_hold(source, NULL, 0).missing_count, 0);
}

Test(source_held, a_held_message_gets_another_state)
{
    insert_messages();
    const char *const state =
        "select concat_ws('|', state, " HELD_SKIPPED ", attempts, last_error, " HELD_HAS_TIME
        ") from outbox_held where id = 1";
    held_hold(&(struct hold){.id = 1, .state = HELD_RETRYING, .attempts = 1, .reason = "one"}, 1);
    char held_at[100];
    (void)snprintf(held_at, sizeof(held_at), "%s",
                   db_text(admin, "select held_at from outbox_held"));
    held_hold(&(struct hold){.id = 1, .state = HELD_RETRYING, .attempts = 2, .reason = "two"}, 1);
    held_expect_text(state, "retrying|0|2|two|1");
    held_hold(&(struct hold){.id = 1, .state = HELD_WAITING}, 1);
    held_expect_text(state, "waiting|0|2|two|0");
    held_hold(&(struct hold){.id = 1, .state = HELD_DEAD, .attempts = 3, .reason = "three"}, 1);
    held_expect_text(state, "dead|0|3|three|0");
    held_hold(
        &(struct hold){
            .id = 1, .state = HELD_DEAD, .skipped = true, .attempts = 3, .reason = "three"},
        1);
    held_expect_text(state, "dead|1|3|three|0");
    held_hold(&(struct hold){.id = 1, .state = HELD_SCHEDULED}, 1);
    held_expect_text(state, "scheduled|1|3|three|1"); /* a skipped message stays skipped */
    held_expect_text("select held_at from outbox_held", held_at);
    cr_assert_eq(held_count("select count(*) from outbox"), 3);
}

/* An operator asked for a retry, and the relay has not noticed that when it reports the broker's answer. */
Test(source_held, what_an_operator_wants_tried_is_due_at_once)
{
    insert_messages();
    const struct hold again = {
        .id = 1, .state = HELD_RETRYING, .retry_after_us = HOUR_US, .reason = "r"};
    held_hold(&again, 1);
    cr_assert_eq(
        held_count("select count(*) from outbox_held where next_attempt_at <= from_now(0)"), 0);
    held_run(
        "insert into outbox_held_act (who, what, message_id, held_id, state) values "
        "('me', 'retry', new_id(), 1, 'retrying'), ('me', 'discard', new_id(), 3, 'retrying')");
    const struct hold other = {
        .id = 3, .state = HELD_RETRYING, .retry_after_us = HOUR_US, .reason = "r"};
    held_hold(&other, 1);
    held_hold((const struct hold[]){again, other}, 2);
    held_expect_text("select group_concat(concat(id)) from outbox_held where next_attempt_at <= "
                     "from_now(0)",
                     "1");
}

/* Also texts that the server would refuse. */
Test(source_held, any_text_can_be_a_reason)
{
    insert_messages();
    const struct hold holds[] = {
        {.id = 1, .state = HELD_RETRYING, .reason = "not \xff\xfe UTF-8"},
        {.id = 3, .state = HELD_RETRYING, .reason = ""},
        {.id = 4, .state = HELD_DEAD, .reason = NULL, .attempts = UINT32_MAX},
        {.id = 2, .state = HELD_RETRYING, .retry_after_us = CLOCK_NEVER_US, .reason = "never"},
    };
    held_hold(holds, 4);
    held_expect_text(
        "select group_concat(coalesce(last_error, 'none') order by id) from outbox_held",
        "not ?? UTF-8,never,,none");
}

#define MANY 2000

static void
insert_many(int rows)
{
    char sql[300];
    (void)snprintf(
        sql, sizeof(sql),
        "insert into outbox (\"key\", payload) select 'k', bytes('x') from " DB_SERIES("1", "%d"),
        rows); /* fits */
    held_run(sql);
}

Test(source_held, many_move_at_once)
{
    static struct hold holds[MANY];
    insert_many(10000);
    for (int i = 0; i < MANY; i++) {
        const bool refused = i % 2 == 0;
        holds[i] = (struct hold){.id = MANY - i + 1,
                                 .state = refused ? HELD_RETRYING : HELD_WAITING,
                                 .attempts = (uint32_t)i,
                                 .reason = refused ? "refused" : NULL};
    }
    for (int again = 0; again < 2; again++) { /* moved, then changed */
        held_hold(holds, MANY);
    }
    cr_assert_eq(held_count("select count(*) from outbox"), 8000);
    cr_assert_eq(
        held_count("select count(*) from outbox_held where id between 2 and 2001 and attempts "
                   "= case when id % 2 = 1 then 2001 - id else 0 end and state = case when id "
                   "% 2 = 1 then 'retrying' else 'waiting' end"),
        MANY);
}

/* Promise: setting aside does not wait for rows that others are writing, even if the statistics say that the tables are
 * small. */
Test(source_held, open_transactions_of_others_are_not_waited_for)
{
    static struct hold holds[MANY];
    static int64_t ids[MANY];
    struct db *writer = db_connect();
    struct db *operator= db_connect();
    db_analyze(admin);
    insert_many(MANY);
    held_run(
        "insert into outbox_held (id, message_id, routing_key, payload, created_at, state) values "
        "(100000, new_id(), '', '', from_now(0), 'dead')");
    db_exec(writer, "start transaction");
    db_exec(writer, "insert into outbox (payload) values ('open')");
    db_exec(operator, "start transaction");
    db_exec(operator, "update outbox_held set attempts = 7 where id = 100000");
    for (int i = 0; i < MANY; i++) {
        ids[i] = i + 1;
        holds[i] = (struct hold){.id = i + 1, .state = i % 2 == 0 ? HELD_WAITING : HELD_SCHEDULED};
    }
    held_hold(holds, MANY);
    for (int i = 0; i < MANY; i++) {
        holds[i].state = HELD_WAITING;
    }
    held_hold(holds, MANY);
    const int64_t key = hash_of("k");
    const struct source_released released = source_fixture_release(
        source, (struct release){
                    .ids = ids, .id_count = 2, .keys = &key, .key_count = 1, .rows_max = MANY});
    cr_assert_eq(released.count, MANY - 2);
    db_exec(writer, "commit");
    db_exec(operator, "commit");
    db_close(writer);
    db_close(operator);
}

Test(source_held, what_cannot_move_stays_where_it_was)
{
    insert_messages();
    db_forbid(admin, "insert", "outbox_held", "new.id = 3");
    const struct hold holds[] = {{.id = 1, .state = HELD_RETRYING, .reason = "r"},
                                 {.id = 3, .state = HELD_WAITING}};
    const struct source_held held = source_fixture_hold(source, holds, 2);
    cr_assert(held.failures.count == 1 && held.failures.items[0].id == 3);
    cr_assert_not_null(strstr(held.failures.items[0].reason, "forbidden"), "%s",
                       held.failures.items[0].reason);
    free(held.failures.items);
    cr_assert_eq(held_count("select count(*) from outbox"), 3);
    cr_assert_eq(held_count("select count(*) from outbox_held"), 1);
}

/* After `truncate outbox`, for example. Both messages must stay. */
Test(source_held, an_id_in_use_twice_is_told)
{
    insert_messages();
    held_hold(&(struct hold){.id = 1, .state = HELD_RETRYING, .reason = "r"}, 1);
    char sql[100];
    (void)snprintf(sql, sizeof(sql), "insert into outbox (id, payload) %s values (1, 'other')",
                   db_own_ids()); /* fits */
    held_run(sql);
    const struct hold again = {.id = 1, .state = HELD_RETRYING, .reason = "r"};
    const struct source_held held = source_fixture_hold(source, &again, 1);
    cr_assert_eq(held.failures.count, 1);
    cr_assert_not_null(strstr(held.failures.items[0].reason, "an id is in use twice"), "%s",
                       held.failures.items[0].reason);
    free(held.failures.items);
    cr_assert_eq(held_count("select count(*) from outbox where id = 1"), 1);
    cr_assert_eq(held_count("select count(*) from outbox_held where id = 1"), 1);
}

/* Ids 1 to 20 of keys a, b, c, d in turn: 1 to 4 are retrying, the rest is waiting behind them. */
static void
hold_four_keys(void)
{
    struct hold holds[20];
    char sql[200];
    for (int i = 0; i < 20; i++) {
        (void)snprintf(sql, sizeof(sql),
                       "insert into outbox (\"key\", headers, payload) values ('%c', '{}', 'x')",
                       'a' + i % 4); /* fits */
        held_run(sql);
        holds[i] = (struct hold){.id = i + 1,
                                 .state = i < 4 ? HELD_RETRYING : HELD_WAITING,
                                 .attempts = i < 4,
                                 .reason = i < 4 ? "r" : NULL};
    }
    held_hold(holds, 20);
}

Test(source_held, those_that_waited_go_back_in_portions)
{
    char before[4096];
    hold_four_keys();
    held_run("insert into outbox (\"key\", payload) values ('a', 'later')");
    (void)snprintf(before, sizeof(before), "%s",
                   db_text(admin, MESSAGES "outbox_held where id > 4 and \"key\" in ('a', 'c')"));
    const int64_t ids[] = {3, 1};
    const int64_t keys[] = {hash_of("c"), hash_of("a"), 12345, hash_of("a")};
    struct source_released released = source_fixture_release(
        source,
        (struct release){.ids = ids, .id_count = 2, .keys = keys, .key_count = 4, .rows_max = 3});
    cr_assert_eq(released.count, 3);
    cr_assert(!released.complete && released.first_id == 5 && released.last_id == 9);
    held_expect_text(HELD_IDS("outbox"), "5,7,9,21");
    held_expect_text(HELD_IDS("outbox_held"), "2,4,6,8,10,11,12,13,14,15,16,17,18,19,20");
    released = source_fixture_release(
        source, (struct release){.keys = keys, .key_count = 4, .rows_max = 100});
    cr_assert(released.complete && released.count == 5);
    cr_assert(released.first_id == 11 && released.last_id == 19);
    held_expect_text(MESSAGES "outbox where id < 21", before);
    released = source_fixture_release(
        source, (struct release){.keys = keys, .key_count = 4, .rows_max = 100});
    cr_assert_eq(released.count, 0);
    released = source_fixture_release(source,
                                      (struct release){.ids = ids, .id_count = 2, .rows_max = 100});
    cr_assert_eq(released.count, 0);
}

/* Deleting the head and moving what waited behind it are two transactions. If only the first one happens, the messages
 * that stay are found with the heads. */
Test(source_held, what_is_left_behind_a_head_that_went_is_found)
{
    hold_four_keys();
    held_be_without_right("insert", "outbox");
    const int64_t ids[] = {1};
    const int64_t keys[] = {hash_of("a")};
    source->ops->release(
        source,
        &(struct release){.ids = ids, .id_count = 1, .keys = keys, .key_count = 1, .rows_max = 10},
        clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_LOST);
    cr_assert_eq(held_count("select count(*) from outbox_held"), 19);
    cr_assert_eq(held_count("select count(*) from outbox"), 0);
    held_give_right_back("insert", "outbox");
    (void)source_fixture_await_owned(source);
    const struct source_heads heads = source_fixture_heads(source);
    bool found = false;
    for (size_t i = 0; i < heads.count; i++) {
        found |= heads.items[i].orphans && heads.items[i].key_hash == keys[0];
    }
    cr_assert(found);
    free(heads.items);
}

Test(source_held, what_cannot_go_back_is_told)
{
    hold_four_keys();
    db_forbid(admin, "insert", "outbox", "new.id = 9");
    const int64_t keys[] = {hash_of("c"), hash_of("a")};
    const struct source_released released = source_fixture_release(
        source, (struct release){.keys = keys, .key_count = 2, .rows_max = 100});
    cr_assert(!released.complete && released.count == 2 && released.first_id == 5 &&
              released.last_id == 7);
    cr_assert_eq(released.failures.count, 1);
    cr_assert(released.failures.items[0].id == 9 && released.failures.items[0].key_hash == keys[1]);
    cr_assert_not_null(strstr(released.failures.items[0].reason, "forbidden"));
    free(released.failures.items);
    held_expect_text(HELD_IDS("outbox"), "5,7");
}

/* A message that was sent and cannot be deleted is not sent again. */
Test(source_held, what_went_and_cannot_be_deleted_is_buried)
{
    hold_four_keys();
    db_forbid(admin, "delete", "outbox_held", "old.id = 2");
    const int64_t ids[] = {1, 2, 3, 4};
    const struct source_released released = source_fixture_release(
        source, (struct release){.ids = ids, .id_count = 4, .rows_max = 100});
    cr_assert_eq(released.count, 0);
    held_expect_text("select group_concat(concat_ws('|', id, state, " HELD_SKIPPED
                     ", last_error)) from outbox_held where id <= 4",
                     "2|dead|1|it went out, but cannot be deleted");
}

/* An operator discards a message that was chosen but not moved yet. It is counted all the same: fewer than asked for
 * would mean that none waits any more, and the key would open too early. */
Test(source_held, one_that_is_discarded_meanwhile_counts)
{
    hold_four_keys();
    const int64_t keys[] = {hash_of("a")};
    struct db *operator= db_connect();
    db_exec(operator, "start transaction");
    db_exec(operator, "delete from outbox_held where id = 5");
    source->ops->release(source, &(struct release){.keys = keys, .key_count = 1, .rows_max = 2},
                         clock_monotonic_us());
    db_wait_blocked(admin, db_owner(admin));
    db_exec(operator, "commit");
    const struct source_released released = source_fixture_expect(source, SOURCE_RELEASED).released;
    cr_assert(released.count == 2 && released.last_id == 9, "%zu", released.count);
    held_expect_text(HELD_IDS("outbox"), "9");
    db_close(operator);
}

static const struct head *
find_head(const struct source_heads *heads, int64_t id)
{
    size_t i = 0;
    while (i < heads->count && heads->items[i].id != id) {
        i++;
    }
    cr_assert_lt(i, heads->count, "no head %lld", (long long)id);
    return &heads->items[i];
}

Test(source_held, finds_all_heads)
{
    cr_assert_eq(source_fixture_heads(source).count, 0);
    held_run(
        "insert into outbox (\"key\", payload) values ('a', ''), ('b', ''), ('c', ''), ('d', ''), "
        "(null, ''), ('f', ''), ('g', ''), ('h', '')");
    const struct hold holds[] = {
        {.id = 1, .state = HELD_RETRYING, .attempts = 3, .retry_after_us = HOUR_US, .reason = "r"},
        {.id = 2, .state = HELD_DEAD, .attempts = 7, .reason = "d"},
        {.id = 3, .state = HELD_DEAD, .skipped = true, .attempts = 7, .reason = "d"},
        {.id = 4, .state = HELD_RETRYING, .skipped = true, .retry_after_us = HOUR_US, .reason = ""},
        {.id = 5, .state = HELD_RETRYING, .reason = "r"},
        {.id = 6, .state = HELD_RETRYING, .reason = "r"},
        {.id = 7, .state = HELD_RETRYING, .reason = "r"},
        {.id = 8, .state = HELD_SCHEDULED},
    };
    held_hold(holds, 8);
    held_run("update outbox_held set next_attempt_at = last_time() where id = 6");
    held_run("update outbox_held set next_attempt_at = first_time() where id = 7");
    const struct source_heads heads = source_fixture_heads(source);
    cr_assert_eq(heads.count, 6);
    const struct head *head = find_head(&heads, 1);
    cr_assert(head->ordered && !head->dead && !head->orphans && head->attempts == 3);
    cr_assert_eq(head->key_hash, hash_of("a"));
    cr_assert(head->retry_in_us > HOUR_US - 60 * CLOCK_S_US && head->retry_in_us <= HOUR_US);
    head = find_head(&heads, 2);
    cr_assert(head->ordered && head->dead && head->attempts == 7 && head->retry_in_us == 0);
    head = find_head(&heads, 4);
    cr_assert(!head->ordered && !head->dead && !head->orphans && head->retry_in_us > 0);
    head = find_head(&heads, 5);
    cr_assert(!head->ordered && head->key_hash == 0 && head->retry_in_us == 0);
    cr_assert(held_is_never(find_head(&heads, 6)->retry_in_us));
    cr_assert_eq(find_head(&heads, 7)->retry_in_us, 0);
    free(heads.items);
}

/* Messages that wait behind nothing: their head was discarded, or somebody set it to skipped. */
Test(source_held, finds_those_that_wait_behind_nothing)
{
    hold_four_keys();
    held_run("delete from outbox_held where id in (1, 5)");
    held_run("update outbox_held set skipped = true where id = 3");
    held_run("update outbox_held set state = 'dead' where id = 4");
    const struct source_heads heads = source_fixture_heads(source);
    cr_assert_eq(heads.count, 5);
    const struct head *orphans = find_head(&heads, 9);
    cr_assert(orphans->orphans && orphans->ordered && orphans->key_hash == hash_of("a"));
    cr_assert(find_head(&heads, 7)->orphans, "3 goes without its key");
    cr_assert(!find_head(&heads, 2)->orphans && !find_head(&heads, 4)->orphans);
    free(heads.items);
}

Test(source_held, reads_the_heads_that_are_due)
{
    held_run(
        "insert into outbox (\"key\", headers, payload) values ('k1', '{}', 'x'), ('k2', '{}', "
        "'x'), "
        "('k3', '{}', 'x'), ('k4', '{}', 'x'), ('k5', '{}', 'x'), ('k6', '{}', 'x'), "
        "('k7', '{}', 'x')");
    struct hold holds[7];
    for (int i = 0; i < 7; i++) {
        holds[i] = (struct hold){.id = i + 1, .state = HELD_RETRYING, .reason = "r"};
    }
    holds[3].retry_after_us = HOUR_US;
    holds[4].state = HELD_DEAD;
    held_hold(holds, 7);
    held_run("update outbox_held set next_attempt_at = as_time('2026-01-01') where id = 6");
    held_run("update outbox_held set skipped = true where id = 2");
    held_run("update outbox_held set \"key\" = null where id = 3");
    const int64_t ids[] = {7};
    struct fetch fetch = {
        .kind = FETCH_HEADS, .ids = ids, .id_count = 1, .rows_max = 10, .bytes_max = 1000};
    struct batch *batch = source_fixture_fetch(source, fetch);
    cr_assert_eq(batch->count, 4);
    cr_assert(batch->complete);
    cr_assert(batch->rows[0].id == 6 && batch->rows[1].id == 1 && batch->rows[2].id == 2 &&
                  batch->rows[3].id == 3,
              "by time");
    cr_assert(batch->rows[0].ordered && batch->rows[0].key_hash == hash_of("k6"));
    cr_assert(!batch->rows[2].ordered && batch->rows[2].key.size == 2, "as if it had no key");
    cr_assert(!batch->rows[3].ordered && batch->rows[3].key.size == 0);
    cr_assert(batch->rows[3].headers.size == 2 && batch->rows[3].payload.size == 1 &&
              !batch->rows[3].scheduled);
    batch_free(batch);
    fetch.rows_max = 2;
    batch = source_fixture_fetch(source, fetch);
    cr_assert(batch->count == 2 && !batch->complete);
    batch_free(batch);
    fetch.rows_max = 10;
    fetch.bytes_max = 1;
    batch = source_fixture_fetch(source, fetch);
    cr_assert(batch->count == 1 && !batch->complete);
    batch_free(batch);
}

Test(source_held, notices_once_what_operators_did)
{
    cr_assert_not(source_fixture_wake(source, 1).acts);
    held_run("insert into outbox_held_act (who, what, message_id, held_id, state) values "
             "('me', 'discard', new_id(), 1, 'dead'), ('me', 'discard', new_id(), 2, 'dead')");
    cr_assert(source_fixture_wake(source, 1).acts);
    cr_assert_eq(held_count("select count(*) from outbox_held_act where seen_at is null"), 0);
    cr_assert_not(source_fixture_wake(source, 1).acts);
}

static const struct release *
all_keys(void)
{
    static int64_t keys[4];
    static const struct release release = {.keys = keys, .key_count = 4, .rows_max = 100};
    static const char *const names[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 4; i++) {
        keys[i] = hash_of(names[i]);
    }
    return &release;
}

/* With PostgreSQL possibly by the next session, because the error ends this one. */
static struct source_released
expect_released_or_again(const struct release *release)
{
    struct source_event event = source_fixture_next(source);
    while (event.type == SOURCE_ALIVE) {
        event = source_fixture_next(source);
    }
    if (!db_is_mysql() && event.type == SOURCE_LOST) {
        cr_assert_eq(event.lost.class, ERROR_TRANSIENT, "%s", event.lost.text);
        (void)source_fixture_await_owned(source);
        return source_fixture_release(source, *release);
    }
    cr_assert_eq(event.type, SOURCE_RELEASED);
    return event.released;
}

/* A deadlock with an operator: if the relay is the victim, it tries again. */
Test(source_held, an_operator_in_another_order_keeps_nothing_back)
{
    hold_four_keys();
    const struct release *release = all_keys();
    struct db *operator= db_connect();
    db_exec(operator, "start transaction");
    db_exec(operator, "update outbox_held set attempts = 7 where id >= 10");
    source->ops->release(source, release, clock_monotonic_us());
    db_wait_blocked(admin, db_owner(admin));
    (void)db_try(operator, "update outbox_held set attempts = 7 where id = 5");
    db_exec(operator, "commit");
    const struct source_released released = expect_released_or_again(release);
    cr_assert(released.count == 16 && released.complete, "%zu", released.count);
    cr_assert_eq(released.failures.count, 0);
    db_close(operator);
}

Test(source_held, all_can_be_asked_at_once)
{
    const uint64_t now_us = clock_monotonic_us();
    const struct hold holds[] = {{.id = 1, .state = HELD_RETRYING, .reason = "r"},
                                 {.id = 2, .state = HELD_WAITING},
                                 {.id = 77, .state = HELD_WAITING}};
    const int64_t ids[] = {1};
    const int64_t keys[] = {hash_of("a")};
    const struct fetch fetch = {.kind = FETCH_NEXT, .rows_max = 10, .bytes_max = 1000};
    held_run("insert into outbox (\"key\", payload) values ('a', 'x'), ('a', 'x'), ('a', 'x')");
    source->ops->hold(source, holds, 3, now_us);
    source->ops->heads(source, now_us);
    source->ops->release(
        source,
        &(struct release){.ids = ids, .id_count = 1, .keys = keys, .key_count = 1, .rows_max = 10},
        now_us);
    source->ops->wake(source, 10, now_us);
    source->ops->settle(source, (int64_t[]){3}, 1, now_us);
    source->ops->status(source, &(struct source_status){.rate = 1}, now_us);
    source->ops->fetch(source, &fetch, now_us);
    source->ops->watermark(source, now_us);
    const struct source_event event = source_fixture_expect(source, SOURCE_HELD);
    cr_assert(event.held.missing_count == 1 && event.held.missing[0] == 77);
    cr_assert_geq(event.lease_until_us, now_us + config.takeover_us);
    free(event.held.missing);
    const struct source_heads heads = source_fixture_expect(source, SOURCE_HEADS).heads;
    cr_assert(heads.count == 1 && heads.items[0].id == 1);
    free(heads.items);
    cr_assert_eq(source_fixture_expect(source, SOURCE_RELEASED).released.last_id, 2);
    cr_assert_eq(source_fixture_expect(source, SOURCE_WOKEN).woken.count, 0);
    (void)source_fixture_expect(source, SOURCE_SETTLED);
    struct batch *batch = source_fixture_expect(source, SOURCE_ROWS).rows;
    cr_assert(batch->count == 1 && batch->rows[0].id == 2);
    batch_free(batch);
    cr_assert_leq(source_fixture_expect(source, SOURCE_FINAL).final.id, 3);
    source_fixture_await_final(source, 3);
}
