/* The log of a source: what is committed comes in the order of the commits, from the requested position on. */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/source_tail_fixture.h"

TestSuite(source_tail, .init = tail_create, .fini = tail_drop, .timeout = 120);

/* A second session, for transactions that overlap. */
static struct db *
begin(const char *sql)
{
    struct db *session = db_connect();
    db_exec(session, "begin");
    db_exec(session, sql);
    return session;
}

static void
end(struct db *session, const char *sql)
{
    db_exec(session, sql);
    db_close(session);
}

Test(source_tail, delivers_what_is_committed_from_the_beginning_on)
{
    tail_run("insert into outbox (payload) values ('before')");
    (void)source_fixture_tail(source, 0);
    tail_run("insert into outbox (payload) values ('one')");
    tail_run("insert into outbox (payload) values ('two'), ('three')");
    tail_expect_rows(2, 1, 3);
}

Test(source_tail, rows_come_in_the_order_of_the_commits)
{
    (void)source_fixture_tail(source, 0);
    struct db *first = begin("insert into outbox (payload) values ('1')");
    struct db *second = begin("insert into outbox (payload) values ('2')");
    end(second, "commit");
    tail_expect_rows(2, 1, 1);
    end(first, "commit");
    tail_expect_rows(1, 1, 1);
}

Test(source_tail, what_was_rolled_back_does_not_come)
{
    (void)source_fixture_tail(source, 0);
    end(begin("insert into outbox (payload) values ('1')"), "rollback");
    tail_run("begin; insert into outbox (payload) values ('2'); savepoint s; "
             "insert into outbox (payload) values ('3'); rollback to s; "
             "insert into outbox (payload) values ('4'); commit");
    tail_expect_rows(2, 2, 2);
}

/* ---- transactions of two phases ------------------------------------------------------------------------- */

/* The session ends after that. */
static void
prepare(const char *sql)
{
    struct db *session = db_connect();
    db_prepare(session, "tail", sql);
    db_close(session);
}

Test(source_tail, prepared_transactions_come_when_they_are_committed)
{
    (void)source_fixture_tail(source, 0);
    prepare("insert into outbox (payload) values ('1'), ('2')");
    tail_run("insert into outbox (payload) values ('3')");
    const log_position prepared = tail_log_end();
    tail_expect_rows(3, 1, 1);
    db_end_prepared(admin, "tail", true);
    const struct source_log log = tail_first_rows(1);
    cr_assert_eq(log.batch->count, 1);
    cr_assert_eq(log.batch->rows[0].id, 1);
    cr_assert_geq(log.batch->rows[0].position, prepared, "it lies where it was committed");
    cr_assert_leq(log.position, log.batch->rows[0].position, "there is more of it");
    batch_free(log.batch);
    tail_expect_rows(2, 1, 1);
}

Test(source_tail, prepared_transactions_that_are_rolled_back_do_not_come)
{
    (void)source_fixture_tail(source, 0);
    prepare("insert into outbox (payload) values ('1')");
    db_end_prepared(admin, "tail", false);
    tail_run("insert into outbox (payload) values ('2')");
    tail_expect_rows(2, 1, 1);
}

/* ---- what a batch is ------------------------------------------------------------------------------------ */

/* Rows that were loaded from a file. */
Test(source_tail, copied_rows_come)
{
    static char lines[3000 * 8 + 1];
    for (size_t i = 0; i < 3000; i++) {
        memcpy(lines + i * 8, "payload\n", 8);
    }
    (void)source_fixture_tail(source, 0);
    db_load_rows(admin, "outbox (payload)", lines);
    tail_expect_rows(1, 1, 3000);
}

Test(source_tail, at_most_so_many_rows_and_bytes_at_a_time)
{
    (void)source_fixture_tail(source, 0);
    tail_run(
        "insert into outbox (payload) select bytes(repeat('x', 1000)) from " DB_SERIES("1", "100"));
    struct source_log log = tail_first_rows(7);
    cr_assert_leq(log.batch->count, 7);
    cr_assert_leq(log.position, log.batch->rows[0].position,
                  "the transaction has not come to its end");
    size_t count = log.batch->count;
    batch_free(log.batch);
    while (count < 100) {
        source->ops->tail_more(source, ROWS_MAX, 3500, clock_monotonic_us());
        log = source_fixture_expect(source, SOURCE_LOG).log;
        cr_assert_leq(log.batch->count, 4);
        count += log.batch->count;
        batch_free(log.batch);
    }
    cr_assert_eq(count, 100);
}

/* With its headers it is larger than a packet of MySQL's protocol can be, 16 MiB. */
Test(source_tail, a_large_payload_comes_whole)
{
    const size_t size = (16 << 20) - 1;
    (void)source_fixture_tail(source, 0);
    tail_run("insert into outbox (headers, payload) select as_headers(concat('{\"a\": \"', "
             "repeat('h', 100000), '\"}')), bytes(repeat('x', (16 << 20) - 1))");
    tail_run("insert into outbox (payload) values ('y')");
    const struct source_log log = tail_first_rows(ROWS_MAX);
    const struct span payload = log.batch->rows[0].payload;
    cr_assert_eq(log.batch->count, 1, "more than the bytes that were asked for");
    cr_assert_eq(log.batch->rows[0].headers.size, 100009);
    cr_assert_eq(payload.size, size);
    cr_assert(((const char *)payload.data)[0] == 'x' &&
              memcmp(payload.data, (const char *)payload.data + 1, size - 1) == 0);
    batch_free(log.batch);
    tail_expect_rows(2, 1, 1);
}

static bool
same_span(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static void
expect_same(const struct row *row, const struct row *of_table)
{
    cr_assert_eq(row->id, of_table->id);
    cr_assert_arr_eq(row->message_id, of_table->message_id, UUID_BYTES);
    cr_assert_eq(row->created_at_us, of_table->created_at_us);
    cr_assert_eq(row->key_hash, of_table->key_hash);
    cr_assert(row->has_key == of_table->has_key && row->ordered == of_table->ordered &&
              (row->withheld == NULL) == (of_table->withheld == NULL) &&
              row->exchange_is_null == of_table->exchange_is_null);
    cr_assert(same_span(row->exchange, of_table->exchange) &&
              same_span(row->routing_key, of_table->routing_key) &&
              same_span(row->key, of_table->key) && same_span(row->type, of_table->type) &&
              same_span(row->content_type, of_table->content_type) &&
              same_span(row->headers, of_table->headers) &&
              same_span(row->payload, of_table->payload));
    cr_assert_gt(row->position, 0);
}

Test(source_tail, a_row_is_as_the_table_gives_it)
{
    (void)source_fixture_tail(source, 0);
    tail_run("insert into outbox (message_id, exchange, routing_key, \"key\", type, content_type, "
             "headers, "
             "payload_text, created_at) values (as_id('00010203-0405-0607-0809-0a0b0c0d0e0f'), "
             "'events', "
             "'order.cr\303\251\303\251', 'c-7', 'order', 'application/json', '{\"a\": 1}', "
             "'\303\251\360\237\220\230', as_time('2024-05-06 07:08:09.123456'))");
    tail_run("insert into outbox (exchange, routing_key, \"key\", headers, payload) values "
             "('', 'r', '', null, unhex('0001ff')), (null, default, null, null, '')");
    struct batch *table = source_fixture_fetch_after(source, 0);
    cr_assert_eq(table->count, 3);
    cr_assert(table->rows[0].payload.size == 6 && table->rows[0].key_hash != 0);
    size_t count = 0;
    while (count < 3) {
        const struct source_log event = source_fixture_log(source, 1);
        for (size_t i = 0; i < event.batch->count; i++) {
            expect_same(&event.batch->rows[i], &table->rows[count++]);
        }
        batch_free(event.batch);
    }
    batch_free(table);
}

Test(source_tail, what_else_is_done_to_the_rows_does_not_come)
{
    (void)source_fixture_tail(source, 0);
    tail_run("insert into outbox (payload) values ('1'), ('2')");
    tail_run("update outbox set payload = 'x'");
    tail_run("delete from outbox");
    tail_run("insert into outbox (payload) values ('3')");
    tail_expect_rows(1, 1, 3);
}

/* ---- positions ------------------------------------------------------------------------------------------ */

Test(source_tail, an_idle_log_tells_its_position_at_once)
{
    const log_position asked = tail_log_end();
    cr_assert_geq(source_fixture_tail(source, asked), asked);
    tail_run("create table other (n int)");
    const uint64_t before_us = clock_monotonic_us();
    (void)tail_expect_position(tail_log_end());
    cr_assert_lt(clock_monotonic_us() - before_us, AT_ONCE_US);
}

Test(source_tail, what_others_write_advances_the_position)
{
    (void)source_fixture_tail(source, 0);
    tail_run("create table other (n int)");
    tail_run("insert into other select i from " DB_SERIES("1", "1000"));
    (void)tail_expect_position(tail_log_end());
    tail_run("drop table other");
    (void)tail_expect_position(tail_log_end());
}

Test(source_tail, goes_on_from_the_position_that_is_asked_for)
{
    (void)source_fixture_tail(source, 0);
    tail_run("insert into outbox (payload) values ('1')");
    tail_expect_rows(1, 1, 1);
    const log_position position = tail_log_end();
    tail_run("insert into outbox (payload) values ('2')");
    tail_expect_rows(2, 1, 1);
    source->ops->tail_end(source, clock_monotonic_us());
    cr_assert_eq(source_fixture_tail(source, position), position);
    tail_expect_rows(2, 1, 1);
}

Test(source_tail, the_server_begins_another_file)
{
    const char *const next_file = source_fixture_kind()->next_file;
    (void)source_fixture_tail(source, 0);
    tail_run("insert into outbox (payload) values ('1')");
    tail_run(next_file);
    tail_run("insert into outbox (payload) values ('2')");
    tail_run(next_file);
    const log_position position = tail_log_end();
    tail_run("insert into outbox (payload) values ('3')");
    tail_expect_rows(1, 1, 3);
    source->ops->tail_end(source, clock_monotonic_us());
    cr_assert_eq(source_fixture_tail(source, position), position);
    tail_expect_rows(3, 1, 1);
}

/* ---- the end of it -------------------------------------------------------------------------------------- */

Test(source_tail, a_connection_that_is_ended_can_be_had_again)
{
    const log_position position = source_fixture_tail(source, 0);
    tail_end_reader();
    const struct error error = source_fixture_end_of_log(source, ERROR_CONNECTION);
    tail_expect_words(&error, source_fixture_kind()->words_session_ended);
    (void)source_fixture_tail(source, position);
    tail_run("insert into outbox (payload) values ('1')");
    tail_expect_rows(1, 1, 1);
}

Test(source_tail, the_end_of_the_ownership_ends_the_reading)
{
    struct source_event event;
    (void)source_fixture_tail(source, 0);
    source->ops->tail_more(source, ROWS_MAX, 1 << 20, clock_monotonic_us());
    db_end_session(admin, db_owner(admin));
    source->ops->heads(source, clock_monotonic_us());
    do {
        event = source_fixture_next(source);
        cr_assert(event.type == SOURCE_LOST || event.type == SOURCE_LOG ||
                      event.type == SOURCE_ALIVE,
                  "%d", event.type);
        source_event_done(&event);
    } while (event.type != SOURCE_LOST);
    tail_await_no_reader();
    (void)source_fixture_await_owned(source);
    (void)source_fixture_tail(source, 0);
}

/* Even while the source waits for events that will not come. */
Test(source_tail, letting_go_of_it_waits_for_nothing)
{
    (void)source_fixture_tail(source, 0);
    source->ops->tail_more(source, ROWS_MAX, 1 << 20, clock_monotonic_us());
    const uint64_t before_us = clock_monotonic_us();
    source->ops->tail_end(source, clock_monotonic_us());
    cr_assert_lt(clock_monotonic_us() - before_us, AT_ONCE_US);
    tail_await_no_reader();
    (void)source_fixture_tail(source, 0);
    source->ops->tail_more(source, ROWS_MAX, 1 << 20, clock_monotonic_us());
    source->ops->free(source);
    cr_assert_lt(clock_monotonic_us() - before_us, 2 * AT_ONCE_US);
    tail_await_no_reader();
    source = source_fixture_own(&config);
}

/* After so many connections the server may refuse one more for a moment. */
static void
tail_in_the_end(void)
{
    const uint64_t until_us = clock_monotonic_us() + WAIT_US;
    struct source_event event = {.type = SOURCE_NOT_TAILING};
    while (event.type != SOURCE_TAILING) {
        if (event.type == SOURCE_NOT_TAILING) {
            source->ops->tail_begin(source, 0, clock_monotonic_us());
        }
        event = source_fixture_next(source);
        cr_assert_lt(clock_monotonic_us(), until_us);
    }
}

static void
let_it_work(int turns)
{
    struct pollfd polls[SOURCE_POLLS_MAX];
    for (int i = 0; i < turns; i++) {
        source->ops->polls(source, polls);
        (void)poll(polls, SOURCE_POLLS_MAX, 1);
        source->ops->process(source, polls, clock_monotonic_us());
    }
}

/* Events that are left must not report anything for an operator. */
static void
pass_over_events(void)
{
    struct source_event event;
    while (source->ops->next(source, &event)) {
        cr_assert(event.type == SOURCE_TAILING || event.type == SOURCE_ALIVE ||
                      event.type == SOURCE_NOTICE ||
                      (event.type == SOURCE_NOT_TAILING && event.not_tailing.class != ERROR_CONFIG),
                  "%d: %s", event.type,
                  event.type == SOURCE_NOT_TAILING ? event.not_tailing.text : "");
    }
}

/* At each step of the beginning. */
Test(source_tail, let_go_of_while_it_begins)
{
    for (int turns = 0; turns < 40; turns += 2) {
        source->ops->tail_begin(source, 0, clock_monotonic_us());
        let_it_work(turns);
        source->ops->tail_end(source, clock_monotonic_us());
        pass_over_events();
    }
    tail_in_the_end();
    tail_run("insert into outbox (payload) values ('1')");
    tail_expect_rows(1, 1, 1);
}

Test(source_tail, a_source_that_polls_does_not_tail)
{
    config.mode = SOURCE_MODE_POLL;
    tail_reopen();
    tail_expect_refused("mode", "poll");
}
