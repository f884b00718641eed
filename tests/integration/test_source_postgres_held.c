/* What the source does with messages that are set aside. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/source_fixture.h"

#define HOUR_US (3600 * CLOCK_S_US)
/* 192 MiB and a byte: see SOURCE_MESSAGE_BYTES_MAX. */
#define TOO_LARGE "convert_to(repeat('x', (192 << 20) + 1), 'UTF8')"

static PGconn *admin;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    admin = pg_fixture_create();
    pg_fixture_load_outbox(admin);
    config = source_fixture_config(pg_fixture_dsn(), 60 * CLOCK_S_US); /* 192 MiB take a while */
    source = source_fixture_own(&config);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    pg_fixture_drop(admin);
}

TestSuite(source_postgres_held, .init = create, .fini = drop, .timeout = 120);

static int64_t
hash_of(const char *key)
{
    char sql[100];
    (void)snprintf(sql, sizeof(sql), "select hashtextextended('%s', 0)", key); /* fits */
    return pg_query_int(admin, sql);
}

/* None is missing. */
static void
hold(const struct hold *holds, size_t count)
{
    const struct source_held held = source_fixture_hold(source, holds, count);
    cr_assert_eq(held.missing_count, 0);
    cr_assert_null(held.missing);
}

static void
expect_text(const char *sql, const char *expected)
{
    cr_assert_str_eq(pg_query_text(admin, sql), expected, "%s: %s", sql, pg_query_text(admin, sql));
}

/* Every column that the two tables share. */
#define MESSAGES                                                                                 \
    "select string_agg(concat_ws('|', id, message_id, coalesce(exchange, 'none'), routing_key, " \
    "key, type, content_type, headers, payload, created_at, coalesce(deliver_after::text, "      \
    "'none')), ' ' order by id) from "

static void
insert_messages(void)
{
    pg_exec(admin, "insert into outbox (exchange, routing_key, key, type, content_type, headers, "
                   "payload, created_at, deliver_after) values "
                   "('e', 'r', 'a', 't', 'c', '{\"h\": 1}', '\\x0001ff', '2026-01-01', null), "
                   "(null, '', null, null, null, null, '', '-infinity', now() + '1 h'::interval), "
                   "('', 'r', 'a', null, null, null, 'x', now(), null), "
                   "('e', 'r', 'b', null, null, null, 'y', now(), 'infinity')");
}

Test(source_postgres_held, messages_move_as_they_are)
{
    char before[4096];
    insert_messages();
    (void)snprintf(before, sizeof(before), "%s", pg_query_text(admin, MESSAGES "outbox"));
    const struct hold holds[] = {
        {.id = 4, .state = HELD_DEAD, .skipped = true, .attempts = 9, .reason = "too bad"},
        {.id = 1,
         .state = HELD_RETRYING,
         .attempts = 2,
         .retry_after_us = HOUR_US,
         .reason = "unroutable: \"x\", \\ \xe2\x82\xac"},
        {.id = 2, .state = HELD_SCHEDULED},
        {.id = 3, .state = HELD_WAITING},
    };
    hold(holds, 4);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox"), 0);
    expect_text(MESSAGES "outbox_held", before);
    expect_text("select string_agg(concat_ws('|', id, state, skipped, attempts, last_error), ' ' "
                "order by id) from outbox_held",
                "1|retrying|f|2|unroutable: \"x\", \\ \xe2\x82\xac 2|scheduled|f|0 3|waiting|f|0 "
                "4|dead|t|9|too bad");
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_held where held_at < now() and "
                                     "case state when 'retrying' then next_attempt_at - held_at = "
                                     "'1 h' when 'scheduled' then next_attempt_at = deliver_after "
                                     "else next_attempt_at is null end"),
                 4);
}

Test(source_postgres_held, says_which_are_in_neither_table)
{
    insert_messages();
    pg_exec(admin, "delete from outbox where id = 2");
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

Test(source_postgres_held, a_held_message_gets_another_state)
{
    insert_messages();
    const char *const state = "select concat_ws('|', state, skipped, attempts, last_error, "
                              "next_attempt_at is not null) from outbox_held where id = 1";
    hold(&(struct hold){.id = 1, .state = HELD_RETRYING, .attempts = 1, .reason = "one"}, 1);
    char held_at[100];
    (void)snprintf(held_at, sizeof(held_at), "%s",
                   pg_query_text(admin, "select held_at from outbox_held"));
    hold(&(struct hold){.id = 1, .state = HELD_RETRYING, .attempts = 2, .reason = "two"}, 1);
    expect_text(state, "retrying|f|2|two|t");
    hold(&(struct hold){.id = 1, .state = HELD_WAITING}, 1);
    expect_text(state, "waiting|f|2|two|f");
    hold(&(struct hold){.id = 1, .state = HELD_DEAD, .attempts = 3, .reason = "three"}, 1);
    expect_text(state, "dead|f|3|three|f");
    hold(
        &(struct hold){
            .id = 1, .state = HELD_DEAD, .skipped = true, .attempts = 3, .reason = "three"},
        1);
    expect_text(state, "dead|t|3|three|f");
    hold(&(struct hold){.id = 1, .state = HELD_SCHEDULED}, 1);
    expect_text(state, "scheduled|t|3|three|t"); /* what its key went on without stays so */
    expect_text("select held_at from outbox_held", held_at);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox"), 3);
}

/* What would make the server refuse the statement, and the session with it. */
Test(source_postgres_held, any_text_can_be_a_reason)
{
    insert_messages();
    const struct hold holds[] = {
        {.id = 1, .state = HELD_RETRYING, .reason = "not \xff\xfe UTF-8"},
        {.id = 3, .state = HELD_RETRYING, .reason = ""},
        {.id = 4, .state = HELD_DEAD, .reason = NULL, .attempts = UINT32_MAX},
        {.id = 2, .state = HELD_RETRYING, .retry_after_us = CLOCK_NEVER_US, .reason = "never"},
    };
    hold(holds, 4);
    expect_text("select string_agg(coalesce(last_error, 'none'), '|' order by id) from outbox_held",
                "not ?? UTF-8|never||none");
}

Test(source_postgres_held, a_database_that_has_not_all_characters)
{
    char dsn[2000];
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "create database %s_latin1 template template0 encoding "
                   "'LATIN1' lc_collate 'C' lc_ctype 'C'",
                   PQdb(admin)); /* fits */
    pg_exec(admin, sql);
    (void)snprintf(dsn, sizeof(dsn), "%s dbname=%s_latin1", pg_fixture_dsn(), PQdb(admin));
    PGconn *other = PQconnectdb(dsn);
    pg_fixture_load_outbox(other);
    pg_exec(other, "insert into outbox (payload) values ('x')");
    struct source_config other_config = source_fixture_config(dsn, 10 * CLOCK_S_US);
    struct source *other_source = source_fixture_own(&other_config);
    const struct hold one = {.id = 1, .state = HELD_RETRYING, .reason = "caf\xc3\xa9 \xe2\x82\xac"};
    cr_assert_eq(source_fixture_hold(other_source, &one, 1).missing_count, 0);
    cr_assert_str_eq(pg_query_text(other, "select last_error from outbox_held"), "caf?? ???");
    source_fixture_close(other_source, &other_config);
    PQfinish(other);
    (void)snprintf(sql, sizeof(sql), "drop database %s_latin1 with (force)", PQdb(admin));
    pg_exec(admin, sql);
}

#define MANY 2000

Test(source_postgres_held, many_move_at_once)
{
    static struct hold holds[MANY];
    pg_exec(admin, "insert into outbox (key, payload) select 'k', 'x' from generate_series(1, "
                   "10000)");
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
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox"), 8000);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_held where id between 2 and 2001 "
                                     "and attempts = case when id % 2 = 1 then 2001 - id else 0 "
                                     "end and state = case when id % 2 = 1 then 'retrying' else "
                                     "'waiting' end"),
                 MANY);
}

/* Makes the insert of this id into the table fail. */
static void
forbid(const char *table, int id)
{
    char sql[500];
    (void)snprintf(sql, sizeof(sql),
                   "create function forbid() returns trigger language plpgsql as $$ begin if "
                   "new.id = %d then raise exception 'forbidden'; end if; return new; end $$; "
                   "create trigger forbid before insert on %s for each row execute function "
                   "forbid()",
                   id, table); /* fits */
    pg_exec(admin, sql);
}

/* Makes every insert into the table fail, also one of nothing: that is no row's fault. */
static void
forbid_all(const char *table)
{
    char sql[500];
    (void)snprintf(sql, sizeof(sql),
                   "create function forbid() returns trigger language plpgsql as $$ begin raise "
                   "exception 'forbidden'; end $$; "
                   "create trigger forbid before insert on %s for each statement execute function "
                   "forbid()",
                   table); /* fits */
    pg_exec(admin, sql);
}

Test(source_postgres_held, what_cannot_move_stays_where_it_was)
{
    insert_messages();
    forbid("outbox_held", 3);
    const struct hold holds[] = {{.id = 1, .state = HELD_RETRYING, .reason = "r"},
                                 {.id = 3, .state = HELD_WAITING}};
    const struct source_held held = source_fixture_hold(source, holds, 2);
    cr_assert(held.failures.count == 1 && held.failures.items[0].id == 3);
    free(held.failures.items);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox"), 3);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_held"), 1);
}

/* Such as after `truncate outbox restart identity`. Both must stay. */
Test(source_postgres_held, an_id_in_use_twice_is_told)
{
    insert_messages();
    hold(&(struct hold){.id = 1, .state = HELD_RETRYING, .reason = "r"}, 1);
    pg_exec(admin, "insert into outbox (id, payload) overriding system value values (1, 'other')");
    const struct hold again = {.id = 1, .state = HELD_RETRYING, .reason = "r"};
    const struct source_held held = source_fixture_hold(source, &again, 1);
    cr_assert_eq(held.failures.count, 1);
    cr_assert_not_null(strstr(held.failures.items[0].reason, "an id is in use twice"), "%s",
                       held.failures.items[0].reason);
    free(held.failures.items);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox where id = 1"), 1);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_held where id = 1"), 1);
}

/* Ids 1 to 20 of keys a, b, c, d in turn: 1 to 4 are retrying, the rest is waiting behind them. */
static void
hold_four_keys(void)
{
    struct hold holds[20];
    pg_exec(admin,
            "insert into outbox (key, headers, payload) select substr('dabc', n % 4 + 1, 1), "
            "'{}', 'x' from generate_series(1, 20) n");
    for (int i = 0; i < 20; i++) {
        holds[i] = (struct hold){.id = i + 1,
                                 .state = i < 4 ? HELD_RETRYING : HELD_WAITING,
                                 .attempts = i < 4,
                                 .reason = i < 4 ? "r" : NULL};
    }
    hold(holds, 20);
}

Test(source_postgres_held, those_that_waited_go_back_in_portions)
{
    char before[4096];
    hold_four_keys();
    pg_exec(admin, "insert into outbox (key, payload) values ('a', 'later')");
    (void)snprintf(before, sizeof(before), "%s",
                   pg_query_text(admin, MESSAGES "outbox_held where "
                                                 "id > 4 and key in ('a', 'c')"));
    const int64_t ids[] = {1, 3};
    const int64_t keys[] = {hash_of("c"), hash_of("a"), 12345, hash_of("a")};
    struct source_released released = source_fixture_release(
        source,
        (struct release){.ids = ids, .id_count = 2, .keys = keys, .key_count = 4, .rows_max = 3});
    cr_assert_eq(released.count, 3);
    cr_assert(released.first_id == 5 && released.last_id == 9);
    expect_text("select string_agg(id::text, ' ' order by id) from outbox", "5 7 9 21");
    expect_text("select string_agg(id::text, ' ' order by id) from outbox_held",
                "2 4 6 8 10 11 12 13 14 15 16 17 18 19 20");
    released = source_fixture_release(
        source, (struct release){.keys = keys, .key_count = 4, .rows_max = 100});
    cr_assert_eq(released.count, 5);
    cr_assert(released.first_id == 11 && released.last_id == 19);
    expect_text(MESSAGES "outbox where id < 21", before);
    released = source_fixture_release(
        source, (struct release){.keys = keys, .key_count = 4, .rows_max = 100});
    cr_assert_eq(released.count, 0);
    released = source_fixture_release(source,
                                      (struct release){.ids = ids, .id_count = 2, .rows_max = 100});
    cr_assert_eq(released.count, 0);
    cr_assert_eq(source_fixture_watermark(source), 21, "ids of its own making do not matter");
}

/* Deleting the head and moving what follows are two transactions. What stays behind if only the first
 * comes about is found by whoever asks for the heads. */
Test(source_postgres_held, what_is_left_behind_a_head_that_went_is_found)
{
    hold_four_keys();
    forbid_all("outbox");
    const int64_t ids[] = {1};
    const int64_t keys[] = {hash_of("a")};
    source->ops->release(
        source,
        &(struct release){.ids = ids, .id_count = 1, .keys = keys, .key_count = 1, .rows_max = 10},
        clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_LOST);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_held"), 19);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox"), 0);
    (void)source_fixture_await_owned(source);
    const struct source_heads heads = source_fixture_heads(source);
    bool found = false;
    for (size_t i = 0; i < heads.count; i++) {
        found |= heads.items[i].orphans && heads.items[i].key_hash == keys[0];
    }
    cr_assert(found);
    free(heads.items);
}

/* An operator discards one that was chosen and has not moved yet: if fewer than asked for were
 * counted, the key would be opened before the rest of it. */
Test(source_postgres_held, one_that_is_discarded_meanwhile_counts)
{
    hold_four_keys();
    const int64_t keys[] = {hash_of("a")};
    PGconn *operator= pg_fixture_connect();
    pg_exec(operator, "begin; delete from outbox_held where id = 5");
    source->ops->release(source, &(struct release){.keys = keys, .key_count = 1, .rows_max = 2},
                         clock_monotonic_us());
    pg_wait_blocked(admin, (int)pg_query_int(admin, "select pid from pg_stat_activity where "
                                                    "application_name = 'outbox-relay orders' and "
                                                    "datname = current_database()"));
    pg_exec(operator, "commit");
    const struct source_released released = source_fixture_expect(source, SOURCE_RELEASED).released;
    cr_assert(released.count == 2 && released.last_id == 9, "%zu", released.count);
    expect_text("select string_agg(id::text, ' ' order by id) from outbox", "9");
    PQfinish(operator);
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

Test(source_postgres_held, finds_all_heads)
{
    cr_assert_eq(source_fixture_heads(source).count, 0);
    pg_exec(admin, "insert into outbox (key, payload) select k, 'x' from unnest(array['a', 'b', "
                   "'c', 'd', null, 'f', 'g', 'h']) k");
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
    pg_exec(admin, "update outbox_held set next_attempt_at = 'infinity' where id = 6; "
                   "update outbox_held set next_attempt_at = '-infinity' where id = 7");
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
    cr_assert_eq(find_head(&heads, 6)->retry_in_us, CLOCK_NEVER_US);
    cr_assert_eq(find_head(&heads, 7)->retry_in_us, 0);
    free(heads.items);
}

/* What is waiting behind nothing: its head was discarded, or skipped by somebody. */
Test(source_postgres_held, finds_those_that_wait_behind_nothing)
{
    hold_four_keys();
    pg_exec(admin, "delete from outbox_held where id in (1, 5); "
                   "update outbox_held set skipped = true where id = 3; "
                   "update outbox_held set state = 'dead' where id = 4");
    const struct source_heads heads = source_fixture_heads(source);
    cr_assert_eq(heads.count, 5);
    const struct head *orphans = find_head(&heads, 9);
    cr_assert(orphans->orphans && orphans->ordered && orphans->key_hash == hash_of("a"));
    cr_assert(find_head(&heads, 7)->orphans, "3 goes without its key");
    cr_assert(!find_head(&heads, 2)->orphans && !find_head(&heads, 4)->orphans);
    free(heads.items);
}

Test(source_postgres_held, reads_the_heads_that_are_due)
{
    pg_exec(admin, "insert into outbox (key, headers, payload) select 'k' || n, '{}', 'x' from "
                   "generate_series(1, 7) n");
    struct hold holds[7];
    for (int i = 0; i < 7; i++) {
        holds[i] = (struct hold){.id = i + 1, .state = HELD_RETRYING, .reason = "r"};
    }
    holds[3].retry_after_us = HOUR_US;
    holds[4].state = HELD_DEAD;
    hold(holds, 7);
    pg_exec(admin, "update outbox_held set next_attempt_at = '2026-01-01' where id = 6; "
                   "update outbox_held set skipped = true where id = 2; "
                   "update outbox_held set key = null where id = 3");
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

Test(source_postgres_held, what_can_never_be_sent_is_not_read)
{
    pg_exec(admin, "insert into outbox (headers, payload) values ('{}', '1'), ('{}', " TOO_LARGE
                   "), ('{}', '3')");
    struct fetch fetch = {.kind = FETCH_NEXT, .rows_max = 10, .bytes_max = 1000};
    struct batch *first = source_fixture_fetch(source, fetch);
    cr_assert(first->count == 1 && !first->complete, "the statement that is cheap stops there");
    batch_free(first);
    for (int i = 0; i < 2; i++) { /* by then bytes are counted */
        struct batch *batch = source_fixture_fetch(source, fetch);
        cr_assert_eq(batch->count, 3);
        cr_assert(!batch->rows[0].withheld && batch->rows[1].withheld && !batch->rows[2].withheld);
        cr_assert(batch->rows[1].payload.size == 0 && batch->rows[1].headers.size == 0);
        cr_assert_eq(batch->rows[2].payload.size, 1);
        batch_free(batch);
        pg_exec(admin, "update outbox set payload = convert_to(repeat('x', 500), 'UTF8') "
                       "where id = 1");
        fetch.bytes_max = 600;
        batch = source_fixture_fetch(source, fetch);
        cr_assert_eq(batch->count, 3, "it counts as nothing");
        batch_free(batch);
        pg_exec(admin, "update outbox set payload = '1' where id = 1");
    }
    hold(&(struct hold){.id = 2, .state = HELD_RETRYING, .reason = "too large"}, 1);
    hold(&(struct hold){.id = 3, .state = HELD_RETRYING, .reason = "r"}, 1);
    fetch.kind = FETCH_HEADS;
    fetch.bytes_max = 1;
    struct batch *batch = source_fixture_fetch(source, fetch);
    cr_assert_eq(batch->count, 2);
    cr_assert(batch->rows[0].withheld && batch->rows[0].payload.size == 0);
    cr_assert(!batch->rows[1].withheld && batch->rows[1].payload.size == 1);
    batch_free(batch);
}

/* Scheduled messages 1 to 7: 6 is due first, then 2 and 4, then 1; the others are not due. */
static void
schedule(void)
{
    struct hold holds[7];
    pg_exec(admin, "insert into outbox (key, headers, payload, deliver_after) select 'k', '{}', "
                   "'x', t from unnest(array[now() - '1 min'::interval, now() - '2 min'::interval, "
                   "'infinity', now() - '2 min'::interval, now() + '1 h'::interval, '-infinity', "
                   "now() + '2 h'::interval]) t");
    for (int i = 0; i < 7; i++) {
        holds[i] = (struct hold){.id = i + 1, .state = HELD_SCHEDULED};
    }
    hold(holds, 7);
    /* As if they had become due after they were set aside. */
    pg_exec(admin, "update outbox_held set next_attempt_at = deliver_after");
}

Test(source_postgres_held, wakes_in_the_order_of_their_times_under_new_ids)
{
    char names[7][40];
    char expected[200];
    schedule();
    for (int i = 0; i < 7; i++) {
        char sql[100];
        (void)snprintf(sql, sizeof(sql), "select message_id from outbox_held where id = %d", i + 1);
        (void)snprintf(names[i], sizeof(names[i]), "%s", pg_query_text(admin, sql));
    }
    pg_exec(admin, "insert into outbox (key, payload) values ('k', 'before')");
    struct source_woken woken = source_fixture_wake(source, 3);
    cr_assert(woken.count == 3 && woken.next_in_us == 0 && !woken.acts, "one more is due");
    pg_exec(admin, "insert into outbox (key, payload) values ('k', 'between')");
    woken = source_fixture_wake(source, 3);
    cr_assert_eq(woken.count, 1);
    cr_assert(woken.next_in_us > HOUR_US - 60 * CLOCK_S_US && woken.next_in_us <= HOUR_US);
    (void)snprintf(expected, sizeof(expected), "%s %s %s %s", names[5], names[1], names[3],
                   names[0]);
    expect_text("select string_agg(message_id::text, ' ' order by id) from outbox where "
                "payload = 'x' and deliver_after is null",
                expected);
    expect_text("select string_agg(id::text, ' ' order by id) from outbox", "8 9 10 11 12 13");
    expect_text("select string_agg(id::text, ' ' order by id) from outbox_held", "3 5 7");
    cr_assert_eq(source_fixture_watermark(source), 13, "its own inserts do not hold it back");
    struct batch *batch = source_fixture_fetch(
        source, (struct fetch){.kind = FETCH_NEXT, .rows_max = 10, .bytes_max = 1000});
    cr_assert_eq(batch->count, 6);
    cr_assert(!batch->rows[1].scheduled && batch->rows[1].payload.size == 1);
    batch_free(batch);
}

/* The next look begins where the last one ended; what comes behind it must be found all the same. */
Test(source_postgres_held, wakes_what_comes_due_later)
{
    schedule();
    cr_assert_eq(source_fixture_wake(source, 2).count, 2);
    cr_assert_eq(source_fixture_wake(source, 1).count, 1, "another with the time of the last");
    cr_assert_eq(source_fixture_wake(source, 10).count, 1);
    pg_exec(admin, "insert into outbox (payload, deliver_after) values ('x', now() - "
                   "'1 h'::interval), ('y', now() + '1 h'::interval)");
    const int64_t late = pg_query_int(admin, "select max(id) from outbox");
    const struct hold holds[] = {{.id = late - 1, .state = HELD_SCHEDULED},
                                 {.id = late, .state = HELD_SCHEDULED}};
    hold(holds, 2);
    cr_assert_eq(source_fixture_wake(source, 10).count, 1, "it became due on the way");
    pg_exec(admin,
            "begin; update outbox_held set next_attempt_at = now() - '5 min'::interval where "
            "payload = 'y'; insert into outbox_held_act (who, what, message_id, held_id, "
            "state) values ('me', 'retry', gen_random_uuid(), 1, 'scheduled'); commit");
    struct source_woken woken = source_fixture_wake(source, 10);
    cr_assert(woken.acts);
    if (woken.count == 0) { /* unless it was time for a look at all */
        woken = source_fixture_wake(source, 10);
    }
    cr_assert_eq(woken.count, 1, "an operator's act");
}

Test(source_postgres_held, what_is_due_never_is_never_woken)
{
    struct source_woken woken = source_fixture_wake(source, 10);
    cr_assert(woken.count == 0 && woken.next_in_us == CLOCK_NEVER_US);
    schedule();
    pg_exec(admin, "delete from outbox_held where id <> 3");
    woken = source_fixture_wake(source, 10);
    cr_assert(woken.count == 0 && woken.next_in_us == CLOCK_NEVER_US, "infinity");
    pg_exec(admin, "update outbox_held set next_attempt_at = clock_timestamp()");
    woken = source_fixture_wake(source, 10);
    cr_assert(woken.count == 1 && woken.next_in_us == CLOCK_NEVER_US);
}

Test(source_postgres_held, what_cannot_be_woken_stays_scheduled)
{
    schedule();
    forbid_all("outbox");
    source->ops->wake(source, 10, clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_LOST);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_held"), 7);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox"), 0);
}

Test(source_postgres_held, notices_once_what_operators_did)
{
    cr_assert_not(source_fixture_wake(source, 1).acts);
    pg_exec(admin, "insert into outbox_held_act (who, what, message_id, held_id, state) select "
                   "'me', 'discard', gen_random_uuid(), n, 'dead' from generate_series(1, 3) n");
    cr_assert(source_fixture_wake(source, 1).acts);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_held_act where seen_at is null"),
                 0);
    cr_assert_not(source_fixture_wake(source, 1).acts);
}

/* The statement of docs/PRODUCING.md: a message is cancelled wherever it is. */
Test(source_postgres_held, a_scheduled_message_can_be_cancelled)
{
    pg_exec(admin, "insert into outbox (payload, deliver_after) values ('1', now() + "
                   "'1 h'::interval), ('2', now() + '1 h'::interval), ('3', null)");
    hold(&(struct hold){.id = 2, .state = HELD_SCHEDULED}, 1);
    const char *const cancel = "select count(*) from (select message_id from outbox union all "
                               "select message_id from outbox_held) m where outbox_cancel("
                               "message_id)";
    cr_assert_eq(pg_query_int(admin, cancel), 2);
    cr_assert_eq(pg_query_int(admin, cancel), 0);
    expect_text("select string_agg(id::text, ' ') from outbox", "3");
    const struct hold late = {.id = 1, .state = HELD_SCHEDULED};
    const struct source_held held = source_fixture_hold(source, &late, 1);
    cr_assert(held.missing_count == 1 && held.missing[0] == 1);
    free(held.missing);
}

/* The function has the rights of its owner: a table of the caller's by the same name must not come before the outbox. */
Test(source_postgres_held, a_cancel_meets_no_table_of_its_caller)
{
    pg_exec(admin,
            "insert into outbox (payload, deliver_after) values ('1', now() + '1 h'::interval);"
            "create temp table outbox as table outbox; create temp table outbox_held as table "
            "outbox_held");
    cr_assert_eq(pg_query_int(admin, "select outbox_cancel(message_id)::int from pg_temp.outbox"),
                 1);
    cr_assert_eq(pg_query_int(admin, "select count(*) from pg_temp.outbox"), 1);
    cr_assert_eq(pg_query_int(admin, "select count(*) from public.outbox"), 0);
}

/* Somebody's transaction that is open on a row makes nobody wait but that row. */
Test(source_postgres_held, what_is_locked_is_left_for_later)
{
    const struct fetch due_heads = {.kind = FETCH_HEADS, .rows_max = 10, .bytes_max = 1000};
    PGconn *other = pg_fixture_connect();
    pg_exec(
        admin,
        "insert into outbox (payload, deliver_after) values ('1', now() + '1 h'::interval), "
        "('2', now() + '1 h'::interval), ('3', now() + '1 h'::interval), ('4', null), ('5', null)");
    const struct hold holds[] = {{.id = 1, .state = HELD_SCHEDULED},
                                 {.id = 4, .state = HELD_RETRYING, .reason = "r"},
                                 {.id = 5, .state = HELD_RETRYING, .reason = "r"}};
    hold(holds, 3);
    pg_exec(admin, "update outbox_held set next_attempt_at = now() where id <> 1");
    pg_exec(other, "begin; select outbox_cancel(message_id) from outbox_held where id = 1; "
                   "select outbox_cancel(message_id) from outbox where id = 2; "
                   "update outbox_held set headers = '{}' where id = 4");
    const struct hold scheduled[] = {{.id = 2, .state = HELD_SCHEDULED},
                                     {.id = 3, .state = HELD_SCHEDULED}};
    const struct source_held held = source_fixture_hold(source, scheduled, 2);
    cr_assert(held.missing_count == 1 && held.missing[0] == 2,
              "the locked one was waited for, or moved");
    free(held.missing);
    struct batch *batch = source_fixture_fetch(source, due_heads);
    cr_assert(batch->count == 1 && batch->rows[0].id == 5);
    batch_free(batch);
    pg_exec(other, "rollback");
    batch = source_fixture_fetch(source, due_heads);
    cr_assert_eq(batch->count, 2);
    batch_free(batch);
    PQfinish(other);
}

Test(source_postgres_held, all_can_be_asked_at_once)
{
    const uint64_t now_us = clock_monotonic_us();
    const struct hold holds[] = {{.id = 1, .state = HELD_RETRYING, .reason = "r"},
                                 {.id = 2, .state = HELD_WAITING},
                                 {.id = 77, .state = HELD_WAITING}};
    const int64_t ids[] = {1};
    const int64_t keys[] = {hash_of("a")};
    const struct fetch fetch = {.kind = FETCH_NEXT, .rows_max = 10, .bytes_max = 1000};
    pg_exec(admin, "insert into outbox (key, payload) select 'a', 'x' from generate_series(1, 3)");
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
    cr_assert_eq(source_fixture_expect(source, SOURCE_FINAL).final.id, 3);
}
