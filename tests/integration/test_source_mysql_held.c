/* What the source does with messages that are set aside: what test_source_postgres_held.c asks of PostgreSQL's. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/outbox_mysql_fixture.h"
#include "tests/integration/source_mysql_fixture.h"

#define HOUR_US (3600 * CLOCK_S_US)
#define TAKEOVER_US (30 * CLOCK_S_US)

static MYSQL *admin;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    admin = mysql_fixture_create();
    outbox_mysql_fixture_load(admin);
    outbox_mysql_fixture_load_relay(admin);
    config = source_mysql_fixture_config(TAKEOVER_US);
    source = source_fixture_own(&config);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    mysql_fixture_drop(admin);
}

TestSuite(source_mysql_held, .init = create, .fini = drop, .timeout = 120);

static void
run(const char *sql)
{
    mysql_fixture_exec(admin, sql);
}

static int64_t
count(const char *sql)
{
    return mysql_fixture_int(admin, sql);
}

static int64_t
hash_of(const char *key)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "select cast(conv(left(sha2('%s', 256), 15), 16, 10) as signed)",
                   key); /* fits */
    return count(sql);
}

/* None is missing. */
static void
hold(const struct hold *holds, size_t holds_count)
{
    const struct source_held held = source_fixture_hold(source, holds, holds_count);
    cr_assert_eq(held.failures.count, 0, "%s", held.failures.items[0].reason);
    cr_assert_eq(held.missing_count, 0);
    cr_assert_null(held.missing);
}

static void
expect_text(const char *sql, const char *expected)
{
    cr_assert_str_eq(mysql_fixture_text(admin, sql), expected, "%s: %s", sql,
                     mysql_fixture_text(admin, sql));
}

#define IDS(table) "select group_concat(id order by id separator ' ') from " table

/* Every column that the two tables share. */
#define MESSAGES                                                                           \
    "select group_concat(concat_ws('|', id, hex(message_id), coalesce(exchange, 'none'), " \
    "routing_key, `key`, type, content_type, headers, hex(payload), created_at, "          \
    "coalesce(deliver_after, 'none')) order by id separator ' ') from "

static void
insert_messages(void)
{
    run("set group_concat_max_len = 100000");
    run("insert into outbox (exchange, routing_key, `key`, type, content_type, headers, payload, "
        "created_at, deliver_after) values "
        "('e', 'r', 'a', 't', 'c', '{\"h\": 1}', x'0001ff', '2026-01-01', null), "
        "(null, '', null, null, null, null, '', '1000-01-01 00:00:00.000001', "
        "utc_timestamp(6) + interval 1 hour), "
        "('', 'r', 'a', null, null, null, 'x', utc_timestamp(6), null), "
        "('e', 'r', 'b', null, null, null, 'y', utc_timestamp(6), '9999-12-31 23:59:59.999999')");
}

Test(source_mysql_held, messages_move_as_they_are)
{
    char before[4096];
    insert_messages();
    (void)snprintf(before, sizeof(before), "%s", mysql_fixture_text(admin, MESSAGES "outbox"));
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
    hold(holds, 4);
    cr_assert_eq(count("select count(*) from outbox"), 0);
    expect_text(MESSAGES "outbox_held", before);
    expect_text("select group_concat(concat_ws('|', id, state, skipped, attempts, last_error) "
                "order by id separator ' ') from outbox_held",
                "1|retrying|0|2|unroutable: \"x\", '\\ \xe2\x82\xac 2|scheduled|0|0 3|waiting|0|0 "
                "4|dead|1|9|too bad");
    cr_assert_eq(count("select count(*) from outbox_held where extra is null and held_at <= "
                       "utc_timestamp(6) and case state when 'retrying' then next_attempt_at = "
                       "held_at + interval 1 hour when 'scheduled' then next_attempt_at = "
                       "deliver_after else next_attempt_at is null end"),
                 4);
}

Test(source_mysql_held, says_which_are_in_neither_table)
{
    insert_messages();
    run("delete from outbox where id = 2");
    hold(&(struct hold){.id = 3, .state = HELD_WAITING}, 1);
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

Test(source_mysql_held, a_held_message_gets_another_state)
{
    insert_messages();
    const char *const state = "select concat_ws('|', state, skipped, attempts, last_error, "
                              "next_attempt_at is not null) from outbox_held where id = 1";
    hold(&(struct hold){.id = 1, .state = HELD_RETRYING, .attempts = 1, .reason = "one"}, 1);
    char held_at[100];
    (void)snprintf(held_at, sizeof(held_at), "%s",
                   mysql_fixture_text(admin, "select held_at from outbox_held"));
    hold(&(struct hold){.id = 1, .state = HELD_RETRYING, .attempts = 2, .reason = "two"}, 1);
    expect_text(state, "retrying|0|2|two|1");
    hold(&(struct hold){.id = 1, .state = HELD_WAITING}, 1);
    expect_text(state, "waiting|0|2|two|0");
    hold(&(struct hold){.id = 1, .state = HELD_DEAD, .attempts = 3, .reason = "three"}, 1);
    expect_text(state, "dead|0|3|three|0");
    hold(
        &(struct hold){
            .id = 1, .state = HELD_DEAD, .skipped = true, .attempts = 3, .reason = "three"},
        1);
    expect_text(state, "dead|1|3|three|0");
    hold(&(struct hold){.id = 1, .state = HELD_SCHEDULED}, 1);
    expect_text(state, "scheduled|1|3|three|1"); /* what its key went on without stays so */
    expect_text("select held_at from outbox_held", held_at);
    cr_assert_eq(count("select count(*) from outbox"), 3);
}

/* An operator has said to try it again, and the relay has not taken note, when its answer from the broker is told. */
Test(source_mysql_held, what_an_operator_wants_tried_is_due_at_once)
{
    insert_messages();
    const struct hold again = {
        .id = 1, .state = HELD_RETRYING, .retry_after_us = HOUR_US, .reason = "r"};
    hold(&again, 1);
    cr_assert_eq(count("select count(*) from outbox_held where next_attempt_at <= "
                       "utc_timestamp(6)"),
                 0);
    run("insert into outbox_held_act (who, what, message_id, held_id, state) values "
        "('me', 'retry', 'x', 1, 'retrying'), ('me', 'discard', 'x', 3, 'retrying')");
    const struct hold other = {
        .id = 3, .state = HELD_RETRYING, .retry_after_us = HOUR_US, .reason = "r"};
    hold(&other, 1);
    hold((const struct hold[]){again, other}, 2);
    expect_text("select group_concat(id) from outbox_held where next_attempt_at <= "
                "utc_timestamp(6)",
                "1");
}

/* What would make the server refuse the statement. */
Test(source_mysql_held, any_text_can_be_a_reason)
{
    insert_messages();
    const struct hold holds[] = {
        {.id = 1, .state = HELD_RETRYING, .reason = "not \xff\xfe UTF-8"},
        {.id = 3, .state = HELD_RETRYING, .reason = ""},
        {.id = 4, .state = HELD_DEAD, .reason = NULL, .attempts = UINT32_MAX},
        {.id = 2, .state = HELD_RETRYING, .retry_after_us = CLOCK_NEVER_US, .reason = "never"},
    };
    hold(holds, 4);
    expect_text("select group_concat(coalesce(last_error, 'none') order by id separator '|') from "
                "outbox_held",
                "not ?? UTF-8|never||none");
}

#define MANY 2000

static void
insert_many(int rows)
{
    char sql[300];
    (void)snprintf(sql, sizeof(sql),
                   "insert into outbox (`key`, payload) with recursive numbers as (select 1 as n "
                   "union all select n + 1 from numbers where n < %d) select 'k', 'x' from numbers",
                   rows); /* fits */
    run(mysql_fixture_is_mariadb(admin) ? "set max_recursive_iterations = 100000"
                                        : "set cte_max_recursion_depth = 100000");
    run(sql);
}

Test(source_mysql_held, many_move_at_once)
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
        hold(holds, MANY);
    }
    cr_assert_eq(count("select count(*) from outbox"), 8000);
    cr_assert_eq(count("select count(*) from outbox_held where id between 2 and 2001 and attempts "
                       "= case when id % 2 = 1 then 2001 - id else 0 end and state = case when id "
                       "% 2 = 1 then 'retrying' else 'waiting' end"),
                 MANY);
}

/* Promise: what others are writing is not waited for, however small the statistics call the tables. */
Test(source_mysql_held, open_transactions_of_others_are_not_waited_for)
{
    static struct hold holds[MANY];
    static int64_t ids[MANY];
    MYSQL *writer = mysql_fixture_connect();
    MYSQL *operator= mysql_fixture_connect();
    run("analyze table outbox, outbox_held");
    insert_many(MANY);
    run("insert into outbox_held (id, message_id, routing_key, payload, created_at, state) values "
        "(100000, 'x', '', '', now(), 'dead')");
    mysql_fixture_exec(writer, "start transaction");
    mysql_fixture_exec(writer, "insert into outbox (payload) values ('open')");
    mysql_fixture_exec(operator, "start transaction");
    mysql_fixture_exec(operator, "update outbox_held set attempts = 7 where id = 100000");
    for (int i = 0; i < MANY; i++) {
        ids[i] = i + 1;
        holds[i] = (struct hold){.id = i + 1, .state = i % 2 == 0 ? HELD_WAITING : HELD_SCHEDULED};
    }
    hold(holds, MANY);
    for (int i = 0; i < MANY; i++) {
        holds[i].state = HELD_WAITING;
    }
    hold(holds, MANY);
    const int64_t key = hash_of("k");
    const struct source_released released = source_fixture_release(
        source, (struct release){
                    .ids = ids, .id_count = 2, .keys = &key, .key_count = 1, .rows_max = MANY});
    cr_assert_eq(released.count, MANY - 2);
    mysql_fixture_exec(writer, "commit");
    mysql_fixture_exec(operator, "commit");
    mysql_close(writer);
    mysql_close(operator);
}

/* Makes the insert of this id into the table fail; 0: of any. */
static void
forbid(const char *table, int id)
{
    char sql[400];
    (void)snprintf(sql, sizeof(sql),
                   "create trigger forbid before insert on %s for each row if new.id = %d or %d = "
                   "0 then signal sqlstate '45000' set message_text = 'forbidden'; end if",
                   table, id, id); /* fits */
    run(sql);
}

Test(source_mysql_held, what_cannot_move_stays_where_it_was)
{
    insert_messages();
    forbid("outbox_held", 3);
    const struct hold holds[] = {{.id = 1, .state = HELD_RETRYING, .reason = "r"},
                                 {.id = 3, .state = HELD_WAITING}};
    const struct source_held held = source_fixture_hold(source, holds, 2);
    cr_assert(held.failures.count == 1 && held.failures.items[0].id == 3);
    cr_assert_not_null(strstr(held.failures.items[0].reason, "forbidden"), "%s",
                       held.failures.items[0].reason);
    free(held.failures.items);
    cr_assert_eq(count("select count(*) from outbox"), 3);
    cr_assert_eq(count("select count(*) from outbox_held"), 1);
}

/* Such as after `truncate outbox`. Both must stay. */
Test(source_mysql_held, an_id_in_use_twice_is_told)
{
    insert_messages();
    hold(&(struct hold){.id = 1, .state = HELD_RETRYING, .reason = "r"}, 1);
    run("insert into outbox (id, payload) values (1, 'other')");
    const struct hold again = {.id = 1, .state = HELD_RETRYING, .reason = "r"};
    const struct source_held held = source_fixture_hold(source, &again, 1);
    cr_assert_eq(held.failures.count, 1);
    cr_assert_not_null(strstr(held.failures.items[0].reason, "an id is in use twice"), "%s",
                       held.failures.items[0].reason);
    free(held.failures.items);
    cr_assert_eq(count("select count(*) from outbox where id = 1"), 1);
    cr_assert_eq(count("select count(*) from outbox_held where id = 1"), 1);
}

/* Ids 1 to 20 of keys a, b, c, d in turn: 1 to 4 are retrying, the rest is waiting behind them. */
static void
hold_four_keys(void)
{
    struct hold holds[20];
    char sql[200];
    run("set group_concat_max_len = 100000");
    for (int i = 0; i < 20; i++) {
        (void)snprintf(sql, sizeof(sql),
                       "insert into outbox (`key`, headers, payload) values ('%c', '{}', 'x')",
                       'a' + i % 4); /* fits */
        run(sql);
        holds[i] = (struct hold){.id = i + 1,
                                 .state = i < 4 ? HELD_RETRYING : HELD_WAITING,
                                 .attempts = i < 4,
                                 .reason = i < 4 ? "r" : NULL};
    }
    hold(holds, 20);
}

Test(source_mysql_held, those_that_waited_go_back_in_portions)
{
    char before[4096];
    hold_four_keys();
    run("insert into outbox (`key`, payload) values ('a', 'later')");
    (void)snprintf(
        before, sizeof(before), "%s",
        mysql_fixture_text(admin, MESSAGES "outbox_held where id > 4 and `key` in ('a', 'c')"));
    const int64_t ids[] = {3, 1};
    const int64_t keys[] = {hash_of("c"), hash_of("a"), 12345, hash_of("a")};
    struct source_released released = source_fixture_release(
        source,
        (struct release){.ids = ids, .id_count = 2, .keys = keys, .key_count = 4, .rows_max = 3});
    cr_assert_eq(released.count, 3);
    cr_assert(!released.complete && released.first_id == 5 && released.last_id == 9);
    expect_text(IDS("outbox"), "5 7 9 21");
    expect_text(IDS("outbox_held"), "2 4 6 8 10 11 12 13 14 15 16 17 18 19 20");
    released = source_fixture_release(
        source, (struct release){.keys = keys, .key_count = 4, .rows_max = 100});
    cr_assert(released.complete && released.count == 5);
    cr_assert(released.first_id == 11 && released.last_id == 19);
    expect_text(MESSAGES "outbox where id < 21", before);
    released = source_fixture_release(
        source, (struct release){.keys = keys, .key_count = 4, .rows_max = 100});
    cr_assert_eq(released.count, 0);
    released = source_fixture_release(source,
                                      (struct release){.ids = ids, .id_count = 2, .rows_max = 100});
    cr_assert_eq(released.count, 0);
}

/* The session may not insert there any more: that is no row's fault. */
static void
be_without_right(const char *table)
{
    static const char *const tables[] = {"outbox",       "outbox_held",   "outbox_held_act",
                                         "outbox_relay", "outbox_schema", "outbox_relay_schema"};
    char sql[200];
    source_fixture_close(source, &config);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        mysql_fixture_grant(admin, "select, insert, update, delete", tables[i]);
    }
    config = source_mysql_fixture_config_as_user(TAKEOVER_US);
    source = source_fixture_own(&config);
    (void)snprintf(sql, sizeof(sql), "revoke insert on %s from '%s'@'%%'", table,
                   mysql_fixture_database()); /* fits */
    run(sql);
}

/* Deleting the head and moving what follows are two transactions. What stays behind if only the first
 * comes about is found by whoever asks for the heads. */
Test(source_mysql_held, what_is_left_behind_a_head_that_went_is_found)
{
    hold_four_keys();
    be_without_right("outbox");
    const int64_t ids[] = {1};
    const int64_t keys[] = {hash_of("a")};
    source->ops->release(
        source,
        &(struct release){.ids = ids, .id_count = 1, .keys = keys, .key_count = 1, .rows_max = 10},
        clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_LOST);
    cr_assert_eq(count("select count(*) from outbox_held"), 19);
    cr_assert_eq(count("select count(*) from outbox"), 0);
    mysql_fixture_grant(admin, "insert", "outbox");
    (void)source_fixture_await_owned(source);
    const struct source_heads heads = source_fixture_heads(source);
    bool found = false;
    for (size_t i = 0; i < heads.count; i++) {
        found |= heads.items[i].orphans && heads.items[i].key_hash == keys[0];
    }
    cr_assert(found);
    free(heads.items);
}

Test(source_mysql_held, what_cannot_go_back_is_told)
{
    hold_four_keys();
    forbid("outbox", 9);
    const int64_t keys[] = {hash_of("c"), hash_of("a")};
    const struct source_released released = source_fixture_release(
        source, (struct release){.keys = keys, .key_count = 2, .rows_max = 100});
    cr_assert(!released.complete && released.count == 2 && released.first_id == 5 &&
              released.last_id == 7);
    cr_assert_eq(released.failures.count, 1);
    cr_assert(released.failures.items[0].id == 9 && released.failures.items[0].key_hash == keys[1]);
    cr_assert_not_null(strstr(released.failures.items[0].reason, "forbidden"));
    free(released.failures.items);
    expect_text(IDS("outbox"), "5 7");
}

/* One that went out and cannot be deleted is not sent again. */
Test(source_mysql_held, what_went_and_cannot_be_deleted_is_buried)
{
    hold_four_keys();
    run("create trigger forbid before delete on outbox_held for each row if old.id = 2 then signal "
        "sqlstate '45000' set message_text = 'forbidden'; end if");
    const int64_t ids[] = {1, 2, 3, 4};
    const struct source_released released = source_fixture_release(
        source, (struct release){.ids = ids, .id_count = 4, .rows_max = 100});
    cr_assert_eq(released.count, 0);
    expect_text("select group_concat(concat_ws('|', id, state, skipped, last_error)) from "
                "outbox_held where id <= 4",
                "2|dead|1|it went out, but cannot be deleted");
}

/* An operator discards one that was chosen and has not moved yet: if fewer than asked for were
 * counted, the key would be opened before the rest of it. */
Test(source_mysql_held, one_that_is_discarded_meanwhile_counts)
{
    hold_four_keys();
    const int64_t keys[] = {hash_of("a")};
    char sql[200];
    MYSQL *operator= mysql_fixture_connect();
    (void)snprintf(sql, sizeof(sql),
                   "select id from information_schema.processlist where db = '%s' and id not in "
                   "(connection_id(), %lu)",
                   mysql_fixture_database(), mysql_thread_id(operator)); /* fits */
    mysql_fixture_exec(operator, "start transaction");
    mysql_fixture_exec(operator, "delete from outbox_held where id = 5");
    source->ops->release(source, &(struct release){.keys = keys, .key_count = 1, .rows_max = 2},
                         clock_monotonic_us());
    mysql_fixture_wait_blocked(admin, (unsigned long)count(sql));
    mysql_fixture_exec(operator, "commit");
    const struct source_released released = source_fixture_expect(source, SOURCE_RELEASED).released;
    cr_assert(released.count == 2 && released.last_id == 9, "%zu", released.count);
    expect_text(IDS("outbox"), "9");
    mysql_close(operator);
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

Test(source_mysql_held, finds_all_heads)
{
    cr_assert_eq(source_fixture_heads(source).count, 0);
    run("insert into outbox (`key`, payload) values ('a', ''), ('b', ''), ('c', ''), ('d', ''), "
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
    hold(holds, 8);
    run("update outbox_held set next_attempt_at = '9999-12-31 23:59:59.999999' where id = 6");
    run("update outbox_held set next_attempt_at = '1000-01-01' where id = 7");
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
    cr_assert_gt(find_head(&heads, 6)->retry_in_us, 24 * 365 * HOUR_US);
    cr_assert_eq(find_head(&heads, 7)->retry_in_us, 0);
    free(heads.items);
}

/* What is waiting behind nothing: its head was discarded, or skipped by somebody. */
Test(source_mysql_held, finds_those_that_wait_behind_nothing)
{
    hold_four_keys();
    run("delete from outbox_held where id in (1, 5)");
    run("update outbox_held set skipped = true where id = 3");
    run("update outbox_held set state = 'dead' where id = 4");
    const struct source_heads heads = source_fixture_heads(source);
    cr_assert_eq(heads.count, 5);
    const struct head *orphans = find_head(&heads, 9);
    cr_assert(orphans->orphans && orphans->ordered && orphans->key_hash == hash_of("a"));
    cr_assert(find_head(&heads, 7)->orphans, "3 goes without its key");
    cr_assert(!find_head(&heads, 2)->orphans && !find_head(&heads, 4)->orphans);
    free(heads.items);
}

/* Scheduled messages 1 to 7: 6 is due first, then 2 and 4, then 1; the others are not due. */
static void
schedule(void)
{
    struct hold holds[7];
    run("set group_concat_max_len = 100000");
    run("insert into outbox (`key`, headers, payload, deliver_after) values "
        "('k', '{}', 'x', utc_timestamp(6) - interval 1 minute), "
        "('k', '{}', 'x', utc_timestamp(6) - interval 2 minute), "
        "('k', '{}', 'x', '9999-12-31 23:59:59.999999'), "
        "('k', '{}', 'x', utc_timestamp(6) - interval 2 minute), "
        "('k', '{}', 'x', utc_timestamp(6) + interval 1 hour), "
        "('k', '{}', 'x', '1970-01-01'), "
        "('k', '{}', 'x', utc_timestamp(6) + interval 2 hour)");
    for (int i = 0; i < 7; i++) {
        holds[i] = (struct hold){.id = i + 1, .state = HELD_SCHEDULED};
    }
    hold(holds, 7);
    /* As if they had become due after they were set aside. */
    run("update outbox_held set next_attempt_at = deliver_after");
}

Test(source_mysql_held, wakes_in_the_order_of_their_times_under_new_ids)
{
    char names[7][40];
    char expected[200];
    schedule();
    for (int i = 0; i < 7; i++) {
        char sql[100];
        (void)snprintf(sql, sizeof(sql), "select hex(message_id) from outbox_held where id = %d",
                       i + 1); /* fits */
        (void)snprintf(names[i], sizeof(names[i]), "%s", mysql_fixture_text(admin, sql));
    }
    run("insert into outbox (`key`, payload) values ('k', 'before')");
    struct source_woken woken = source_fixture_wake(source, 3);
    cr_assert(woken.count == 3 && woken.next_in_us == 0 && !woken.acts, "one more is due");
    run("insert into outbox (`key`, payload) values ('k', 'between')");
    woken = source_fixture_wake(source, 3);
    cr_assert_eq(woken.count, 1);
    cr_assert(woken.next_in_us > HOUR_US - 60 * CLOCK_S_US && woken.next_in_us <= HOUR_US);
    (void)snprintf(expected, sizeof(expected), "%s %s %s %s", names[5], names[1], names[3],
                   names[0]); /* fits */
    expect_text("select group_concat(hex(message_id) order by id separator ' ') from outbox where "
                "payload = 'x' and deliver_after is null",
                expected);
    expect_text("select group_concat(payload order by id) from outbox", "before,x,x,x,between,x");
    expect_text(IDS("outbox_held"), "3 5 7");
}

/* The next look begins where the last one ended; what comes behind it must be found all the same. */
Test(source_mysql_held, wakes_what_comes_due_later)
{
    schedule();
    cr_assert_eq(source_fixture_wake(source, 2).count, 2);
    cr_assert_eq(source_fixture_wake(source, 1).count, 1, "another with the time of the last");
    cr_assert_eq(source_fixture_wake(source, 10).count, 1);
    run("insert into outbox (payload, deliver_after) values ('x', utc_timestamp(6) - interval 1 "
        "hour), ('y', utc_timestamp(6) + interval 1 hour)");
    const int64_t late = count("select max(id) from outbox");
    const struct hold holds[] = {{.id = late - 1, .state = HELD_SCHEDULED},
                                 {.id = late, .state = HELD_SCHEDULED}};
    hold(holds, 2);
    cr_assert_eq(source_fixture_wake(source, 10).count, 1, "it became due on the way");
    run("start transaction");
    run("update outbox_held set next_attempt_at = utc_timestamp(6) - interval 5 minute where "
        "payload = 'y'");
    run("insert into outbox_held_act (who, what, message_id, held_id, state) values "
        "('me', 'retry', 'x', 1, 'scheduled')");
    run("commit");
    struct source_woken woken = source_fixture_wake(source, 10);
    cr_assert(woken.acts);
    if (woken.count == 0) { /* unless it was time for a look at all */
        woken = source_fixture_wake(source, 10);
    }
    cr_assert_eq(woken.count, 1, "an operator's act");
}

Test(source_mysql_held, where_nothing_is_scheduled_nothing_is_due)
{
    const struct source_woken woken = source_fixture_wake(source, 10);
    cr_assert(woken.count == 0 && woken.next_in_us == CLOCK_NEVER_US && !woken.acts);
}

Test(source_mysql_held, what_cannot_be_woken_stays_scheduled)
{
    schedule();
    be_without_right("outbox");
    source->ops->wake(source, 10, clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_LOST);
    cr_assert_eq(count("select count(*) from outbox_held where state = 'scheduled'"), 7);
    cr_assert_eq(count("select count(*) from outbox"), 0);
}

/* The one with a key is dead, and keeps nobody back; the one without is tried from where it is. */
Test(source_mysql_held, what_cannot_be_woken_is_set_aside)
{
    schedule();
    run("update outbox_held set `key` = null, payload = 'bad' where id = 2");
    run("update outbox_held set payload = 'bad' where id = 4");
    run("create trigger forbid before insert on outbox for each row if new.payload = 'bad' then "
        "signal sqlstate '45000' set message_text = 'forbidden'; end if");
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
    for (int i = 0; i < 5 && count("select count(*) from outbox") < 2; i++) {
        acts |= source_fixture_wake(source, 10).acts;
    }
    cr_assert(acts, "the heads are others now");
    cr_assert_eq(count("select count(*) from outbox"), 2);
    expect_text("select group_concat(concat_ws('|', id, state, skipped, next_attempt_at is null) "
                "order by id) from outbox_held where state <> 'scheduled'",
                "2|retrying|0|0,4|dead|1|1");
}

Test(source_mysql_held, notices_once_what_operators_did)
{
    cr_assert_not(source_fixture_wake(source, 1).acts);
    run("insert into outbox_held_act (who, what, message_id, held_id, state) values "
        "('me', 'discard', 'x', 1, 'dead'), ('me', 'discard', 'x', 2, 'dead')");
    cr_assert(source_fixture_wake(source, 1).acts);
    cr_assert_eq(count("select count(*) from outbox_held_act where seen_at is null"), 0);
    cr_assert_not(source_fixture_wake(source, 1).acts);
}

/* Somebody's transaction that is open on a row makes nobody wait. */
Test(source_mysql_held, what_is_locked_is_left_for_later)
{
    MYSQL *other = mysql_fixture_connect();
    run("insert into outbox (payload, deliver_after) values ('1', utc_timestamp(6) + interval 1 "
        "hour), ('2', utc_timestamp(6) + interval 1 hour), ('3', utc_timestamp(6) + interval 1 "
        "hour)");
    hold(&(struct hold){.id = 1, .state = HELD_SCHEDULED}, 1);
    mysql_fixture_exec(other, "start transaction");
    mysql_fixture_exec(other, "set @first = (select message_id from outbox_held where id = 1)");
    mysql_fixture_exec(other, "set @second = (select message_id from outbox where id = 2)");
    mysql_fixture_exec(other, "call outbox_cancel(@first, @cancelled)");
    mysql_fixture_exec(other, "call outbox_cancel(@second, @cancelled)");
    const struct hold scheduled[] = {{.id = 2, .state = HELD_SCHEDULED},
                                     {.id = 3, .state = HELD_SCHEDULED}};
    const struct source_held held = source_fixture_hold(source, scheduled, 2);
    cr_assert(held.missing_count == 1 && held.missing[0] == 2,
              "the locked one was waited for, or moved");
    free(held.missing);
    run("update outbox_held set next_attempt_at = utc_timestamp(6) - interval 1 second where id = "
        "3");
    cr_assert_eq(source_fixture_wake(source, 10).count, 1);
    mysql_fixture_exec(other, "rollback");
    mysql_close(other);
}

/* A deadlock with an operator: whoever is undone is tried again. */
Test(source_mysql_held, an_operator_in_another_order_makes_no_loss)
{
    hold_four_keys();
    const int64_t keys[] = {hash_of("a"), hash_of("b"), hash_of("c"), hash_of("d")};
    MYSQL *operator= mysql_fixture_connect();
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "select id from information_schema.processlist where db = '%s' and id not in "
                   "(connection_id(), %lu)",
                   mysql_fixture_database(), mysql_thread_id(operator)); /* fits */
    mysql_fixture_exec(operator, "start transaction");
    mysql_fixture_exec(operator, "update outbox_held set attempts = 7 where id >= 10");
    source->ops->release(source, &(struct release){.keys = keys, .key_count = 4, .rows_max = 100},
                         clock_monotonic_us());
    mysql_fixture_wait_blocked(admin, (unsigned long)count(sql));
    (void)mysql_fixture_try(operator, "update outbox_held set attempts = 7 where id = 5");
    mysql_fixture_exec(operator, "commit");
    const struct source_released released = source_fixture_expect(source, SOURCE_RELEASED).released;
    cr_assert(released.count == 16 && released.complete, "%zu", released.count);
    cr_assert_eq(released.failures.count, 0);
    mysql_close(operator);
}
