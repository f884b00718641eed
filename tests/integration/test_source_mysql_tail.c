/* The log of a MySQL source: what is committed comes, in the order of the commits. What changes settings of the server, or its
 * log, is in test_source_mysql_tail_server.c. */
#include <criterion/criterion.h>
#include <mysqld_error.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "relay/mysql/position.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/source_mysql_fixture.h"

#define WAIT_US (30 * CLOCK_S_US)
#define ROWS_MAX 1000
/* Far above what it takes: an idle server speaks four times a second. */
#define AT_ONCE_US (8 * CLOCK_S_US)
/* Longer than any statement of these tests, while which the source does not work. */
#define TAKEOVER_US (60 * CLOCK_S_US)

static MYSQL *admin;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    admin = source_mysql_fixture_create();
    config = source_mysql_fixture_config(TAKEOVER_US);
    config.mode = SOURCE_MODE_TAIL;
    source = source_fixture_own(&config);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    mysql_fixture_drop(admin);
}

TestSuite(source_mysql_tail, .init = create, .fini = drop, .timeout = 120);

/* So many rows, which must have the ids from `first` on by `step`; in how many batches they like. */
static void
expect_rows(int64_t first, int64_t step, size_t count)
{
    log_position position = 0;
    for (size_t seen = 0; seen < count;) {
        const struct source_log event = source_fixture_log(source, ROWS_MAX);
        for (size_t i = 0; i < event.batch->count; i++, seen++) {
            const struct row *row = &event.batch->rows[i];
            cr_assert_eq(row->id, first + (int64_t)seen * step, "%ld instead of %ld", row->id,
                         first + (int64_t)seen * step);
            cr_assert_geq(row->position, position, "not in the order of the commits");
            position = row->position;
        }
        batch_free(event.batch);
    }
}

/* Behind what tells nothing but a position. */
static struct source_log
first_rows(uint32_t rows_max)
{
    struct source_log event = source_fixture_log(source, rows_max);
    while (event.batch->count == 0) {
        batch_free(event.batch);
        event = source_fixture_log(source, rows_max);
    }
    return event;
}

static void
run(const char *sql)
{
    mysql_fixture_exec(admin, sql);
}

/* A second session, for transactions that stand side by side. */
static MYSQL *
begin(const char *sql)
{
    MYSQL *session = mysql_fixture_connect();
    mysql_fixture_exec(session, "begin");
    mysql_fixture_exec(session, sql);
    return session;
}

static void
end(MYSQL *session, const char *sql)
{
    mysql_fixture_exec(session, sql);
    mysql_close(session);
}

static log_position
log_end(void)
{
    struct my_log log;
    log_position position;
    MYSQL_RES *rows = NULL;
    if (mysql_query(admin, "show master status") == 0 ||
        mysql_query(admin, "show binary log status") == 0) {
        rows = mysql_store_result(admin);
    }
    cr_assert_not_null(rows, "%s", mysql_error(admin));
    const MYSQL_ROW row = mysql_fetch_row(rows);
    const struct span name = {row[0], strlen(row[0])};
    cr_assert(my_position_of(name, strtoull(row[1], NULL, 10), &log, &position));
    mysql_free_result(rows);
    return position;
}

/* Until the log has told that it was read so far or farther; nothing of the outbox may be in it. */
static log_position
expect_position(log_position position)
{
    const uint64_t until_us = clock_monotonic_us() + WAIT_US;
    log_position last = 0;
    while (last < position) {
        const struct source_log event = source_fixture_log(source, ROWS_MAX);
        cr_assert_eq(event.batch->count, 0);
        cr_assert_gt(event.position, last, "an empty batch without news");
        cr_assert_lt(clock_monotonic_us(), until_us);
        last = event.position;
        batch_free(event.batch);
    }
    return last;
}

Test(source_mysql_tail, delivers_what_is_committed_from_the_beginning_on)
{
    run("insert into outbox (payload) values ('before')");
    (void)source_fixture_tail(source, 0);
    run("insert into outbox (payload) values ('one')");
    run("insert into outbox (payload) values ('two'), ('three')");
    expect_rows(2, 1, 3);
}

Test(source_mysql_tail, rows_come_in_the_order_of_the_commits)
{
    (void)source_fixture_tail(source, 0);
    MYSQL *first = begin("insert into outbox (payload) values ('1')");
    MYSQL *second = begin("insert into outbox (payload) values ('2')");
    end(second, "commit");
    expect_rows(2, 1, 1);
    end(first, "commit");
    expect_rows(1, 1, 1);
}

Test(source_mysql_tail, what_was_rolled_back_does_not_come)
{
    (void)source_fixture_tail(source, 0);
    end(begin("insert into outbox (payload) values ('1')"), "rollback");
    MYSQL *session = begin("insert into outbox (payload) values ('2')");
    mysql_fixture_exec(session, "savepoint s");
    mysql_fixture_exec(session, "insert into outbox (payload) values ('3')");
    mysql_fixture_exec(session, "rollback to s");
    mysql_fixture_exec(session, "insert into outbox (payload) values ('4')");
    end(session, "commit");
    expect_rows(2, 2, 2);
}

/* Such names are the server's, and other tests use it as well. */
static void
exec_xa(MYSQL *session, const char *before, const char *behind)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "xa %s '%s' %s", before, mysql_fixture_database(), behind);
    mysql_fixture_exec(session, sql);
}

/* In a session of its own, which ends. */
static void
write_xa(const char *sql, const char *before, const char *behind)
{
    MYSQL *session = mysql_fixture_connect();
    exec_xa(session, "start", "");
    mysql_fixture_exec(session, sql);
    exec_xa(session, "end", "");
    exec_xa(session, before, behind);
    mysql_close(session);
}

/* By another session, once that which prepared it is gone. */
static void
finish_xa(const char *how)
{
    const uint64_t until_us = clock_monotonic_us() + WAIT_US;
    char sql[200];
    unsigned code;
    (void)snprintf(sql, sizeof(sql), "xa %s '%s'", how, mysql_fixture_database());
    while ((code = mysql_fixture_try(admin, sql)) != 0) {
        cr_assert(code == ER_XAER_NOTA && clock_monotonic_us() < until_us, "%u", code);
    }
}

/* Also when the session that prepared them is gone. */
Test(source_mysql_tail, prepared_transactions_come_when_they_are_committed)
{
    (void)source_fixture_tail(source, 0);
    write_xa("insert into outbox (payload) values ('1'), ('2')", "prepare", "");
    run("insert into outbox (payload) values ('3')");
    const log_position prepared = log_end();
    expect_rows(3, 1, 1);
    finish_xa("commit");
    struct source_log log = first_rows(1); /* each batch has what was asked for */
    cr_assert_eq(log.batch->count, 1);
    cr_assert_eq(log.batch->rows[0].id, 1);
    cr_assert_geq(log.batch->rows[0].position, prepared, "it lies where it was prepared");
    cr_assert_leq(log.position, log.batch->rows[0].position, "there is more of it");
    batch_free(log.batch);
    expect_rows(2, 1, 1);
}

Test(source_mysql_tail, prepared_transactions_that_are_rolled_back_do_not_come)
{
    (void)source_fixture_tail(source, 0);
    write_xa("insert into outbox (payload) values ('1')", "prepare", "");
    finish_xa("rollback");
    write_xa("insert into outbox (payload) values ('2')", "commit", "one phase");
    expect_rows(2, 1, 1);
}

/* The table was read after its commit (relay/mysql/source_watermark.h). */
Test(source_mysql_tail, a_transaction_that_was_prepared_before_does_not_come)
{
    write_xa("insert into outbox (payload) values ('1')", "prepare", "");
    (void)source_fixture_tail(source, 0);
    finish_xa("commit");
    run("insert into outbox (payload) values ('2')");
    expect_rows(2, 1, 1);
}

Test(source_mysql_tail, at_most_so_many_rows_and_bytes_at_a_time)
{
    (void)source_fixture_tail(source, 0);
    run("insert into outbox (payload) with recursive n as (select 1 as i union all select i + 1 "
        "from "
        "n where i < 100) select repeat('x', 1000) from n");
    struct source_log log = first_rows(7);
    cr_assert_eq(log.batch->count, 7);
    cr_assert_not(log.batch->complete);
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

/* Together with its headers it is larger than a packet of the protocol may be, 16 MiB. */
Test(source_mysql_tail, a_large_payload_comes_whole)
{
    const size_t size = (16 << 20) - 1;
    (void)source_fixture_tail(source, 0);
    run("insert into outbox (headers, payload) select concat('{\"a\": \"', repeat('h', 100000), "
        "'\"}'), "
        "repeat('x', (16 << 20) - 1)");
    run("insert into outbox (payload) values ('y')");
    const struct source_log log = first_rows(ROWS_MAX);
    const struct span payload = log.batch->rows[0].payload;
    cr_assert_eq(log.batch->count, 1, "more than the bytes that were asked for");
    cr_assert_eq(log.batch->rows[0].headers.size, 100009);
    cr_assert_eq(payload.size, size);
    cr_assert(((const char *)payload.data)[0] == 'x' &&
              memcmp(payload.data, (const char *)payload.data + 1, size - 1) == 0);
    batch_free(log.batch);
    expect_rows(2, 1, 1);
}

/* It says itself what it is given, and nothing is made of it on the way. */
Test(source_mysql_tail, a_row_is_as_it_was_written)
{
    (void)source_fixture_tail(source, 0);
    run("insert into outbox (message_id, exchange, routing_key, `key`, type, content_type, "
        "headers, "
        "payload_text, created_at) values (unhex('000102030405060708090a0b0c0d0e0f'), 'events', "
        "'order.cr\303\251\303\251', 'c-7', 'order', 'application/json', '{\"a\": 1}', "
        "'\303\251\360\237\220\230', '2024-05-06 07:08:09.123456')");
    const struct source_log log = first_rows(ROWS_MAX);
    const struct row *row = &log.batch->rows[0];
    char hash[200];
    (void)snprintf(hash, sizeof(hash),
                   "select cast(conv(left(sha2(`key`, 256), 15), 16, 10) as signed) from outbox");
    cr_assert_eq(row->key_hash, mysql_fixture_int(admin, hash));
    cr_assert_eq(row->created_at_us, INT64_C(1714979289123456));
    cr_assert_eq(row->message_id[15], 15);
    cr_assert(row->exchange.size == 6 && memcmp(row->exchange.data, "events", 6) == 0);
    cr_assert(row->routing_key.size == 12 &&
              memcmp(row->routing_key.data, "order.cr\303\251\303\251", 12) == 0);
    cr_assert(row->headers.size == 8 && memcmp(row->headers.data, "{\"a\": 1}", 8) == 0);
    cr_assert(row->payload.size == 6 &&
              memcmp(row->payload.data, "\303\251\360\237\220\230", 6) == 0);
    batch_free(log.batch);
}

Test(source_mysql_tail, what_else_is_done_to_the_rows_does_not_come)
{
    (void)source_fixture_tail(source, 0);
    run("insert into outbox (payload) values ('1'), ('2')");
    run("update outbox set payload = 'x'");
    run("delete from outbox");
    run("insert into outbox (payload) values ('3')");
    expect_rows(1, 1, 3);
}

Test(source_mysql_tail, an_idle_log_tells_its_position_at_once)
{
    (void)source_fixture_tail(source, 0);
    run("create table other (n int)");
    const uint64_t before_us = clock_monotonic_us();
    (void)expect_position(log_end());
    cr_assert_lt(clock_monotonic_us() - before_us, AT_ONCE_US);
}

Test(source_mysql_tail, what_others_write_advances_the_position)
{
    (void)source_fixture_tail(source, 0);
    run("create table other (n int)");
    run("insert into other values (1), (2), (3)");
    (void)expect_position(log_end());
    run("drop table other");
    (void)expect_position(log_end());
}

Test(source_mysql_tail, the_server_begins_another_file)
{
    (void)source_fixture_tail(source, 0);
    run("insert into outbox (payload) values ('1')");
    run("flush binary logs");
    run("insert into outbox (payload) values ('2')");
    run("flush binary logs");
    const log_position position = log_end();
    run("insert into outbox (payload) values ('3')");
    expect_rows(1, 1, 3);
    source->ops->tail_end(source, clock_monotonic_us());
    cr_assert_eq(source_fixture_tail(source, position), position);
    expect_rows(3, 1, 1);
}

Test(source_mysql_tail, goes_on_from_the_position_that_is_asked_for)
{
    (void)source_fixture_tail(source, 0);
    run("insert into outbox (payload) values ('1')");
    expect_rows(1, 1, 1);
    const log_position position = log_end();
    run("insert into outbox (payload) values ('2')");
    expect_rows(2, 1, 1);
    source->ops->tail_end(source, clock_monotonic_us());
    cr_assert_eq(source_fixture_tail(source, position), position);
    expect_rows(2, 1, 1);
}

/* ---- what goes wrong ---- */

static void
expect_words(const struct error *error, const char *words)
{
    cr_assert_not_null(strstr(error->text, words), "\"%s\" is not in: %s", words, error->text);
}

static struct error refusal(enum error_class class)
{
    const struct error error = source_fixture_expect(source, SOURCE_NOT_TAILING).not_tailing;
    cr_assert_eq(error.class, class, "%s", error.text);
    return error;
}

/* The log can't be read, and that is what an operator is told to do. */
static void
expect_refused(const char *what, const char *remedy)
{
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    const struct error error = refusal(ERROR_CONFIG);
    expect_words(&error, what);
    expect_words(&error, remedy);
}

/* Whatever of the log comes before. */
static struct error end_of_log(enum error_class class)
{
    struct source_event event = {.type = SOURCE_LOG};
    while (event.type == SOURCE_LOG || event.type == SOURCE_ALIVE) {
        if (event.type == SOURCE_LOG) {
            source->ops->tail_more(source, ROWS_MAX, 1 << 20, clock_monotonic_us());
        }
        event = source_fixture_next(source);
        source_event_done(&event);
    }
    cr_assert_eq(event.type, SOURCE_NOT_TAILING);
    cr_assert_eq(event.not_tailing.class, class, "%s", event.not_tailing.text);
    return event.not_tailing;
}

/* Columns mean something else from there on, and have no names in the log. So it is begun where they are as they are. */
Test(source_mysql_tail, columns_may_come_and_go)
{
    const log_position before = source_fixture_tail(source, 0);
    run("insert into outbox (payload) values ('1')");
    expect_rows(1, 1, 1);
    run("alter table outbox add column tenant varchar(10) default 'x' after id");
    const struct error error = end_of_log(ERROR_TRANSIENT);
    expect_words(&error, "the definition of table outbox");
    cr_assert_gt(source_fixture_tail(source, before), before);
    run("insert into outbox (payload) values ('2')");
    expect_rows(2, 1, 1);
}

/* As gh-ost and pt-online-schema-change do it: a copy, which takes the name. */
Test(source_mysql_tail, a_table_that_takes_the_name)
{
    (void)source_fixture_tail(source, 0);
    run("create table _outbox_gho like outbox");
    (void)end_of_log(ERROR_TRANSIENT);
    const log_position behind = log_end();
    run("alter table _outbox_gho add column tenant varchar(10) first");
    cr_assert_eq(source_fixture_tail(source, behind), behind);
    run("insert into outbox (payload) values ('1')");
    run("insert into _outbox_gho (id, message_id, routing_key, payload, created_at) select id, "
        "message_id, routing_key, payload, created_at from outbox");
    expect_rows(1, 1, 1);
    (void)expect_position(log_end());
    run("rename table outbox to _outbox_del, _outbox_gho to outbox");
    (void)end_of_log(ERROR_TRANSIENT);
    (void)source_fixture_tail(source, log_end());
    run("insert into outbox (payload) values ('2')");
    expect_rows(2, 1, 1);
}

static void
kill_session(unsigned long id)
{
    char sql[100];
    (void)snprintf(sql, sizeof(sql), "kill %lu", id);
    run(sql);
}

/* The session that is sent the log; 0: there is none. */
static unsigned long
reader(void)
{
    return (unsigned long)mysql_fixture_int(
        admin, "select coalesce(max(id), 0) from information_schema.processlist where db = "
               "database() and command like 'Binlog Dump%'");
}

static void
await_no_reader(void)
{
    const uint64_t until_us = clock_monotonic_us() + WAIT_US;
    while (reader() != 0) {
        cr_assert_lt(clock_monotonic_us(), until_us);
    }
}

Test(source_mysql_tail, a_connection_that_is_ended_can_be_had_again)
{
    const log_position position = source_fixture_tail(source, 0);
    kill_session(reader());
    const struct error error = end_of_log(ERROR_CONNECTION);
    cr_assert_str_not_empty(error.text);
    cr_assert_eq(source_fixture_tail(source, position), position);
    run("insert into outbox (payload) values ('1')");
    expect_rows(1, 1, 1);
}

Test(source_mysql_tail, the_end_of_the_ownership_ends_the_reading)
{
    (void)source_fixture_tail(source, 0);
    source->ops->tail_more(source, ROWS_MAX, 1 << 20, clock_monotonic_us());
    kill_session((unsigned long)mysql_fixture_int(
        admin, "select id from information_schema.processlist where db = database() "
               "and command = 'Sleep' and id <> connection_id()"));
    source->ops->heads(source, clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_LOST);
    await_no_reader();
    (void)source_fixture_await_owned(source);
    (void)source_fixture_tail(source, 0);
}

/* Its thread waits for what is not going to come. */
Test(source_mysql_tail, letting_go_of_it_waits_for_nothing)
{
    (void)source_fixture_tail(source, 0);
    source->ops->tail_more(source, ROWS_MAX, 1 << 20, clock_monotonic_us());
    const uint64_t before_us = clock_monotonic_us();
    source->ops->tail_end(source, clock_monotonic_us());
    cr_assert_lt(clock_monotonic_us() - before_us, AT_ONCE_US);
    await_no_reader();
    (void)source_fixture_tail(source, 0);
    source->ops->tail_more(source, ROWS_MAX, 1 << 20, clock_monotonic_us());
    source->ops->free(source);
    cr_assert_lt(clock_monotonic_us() - before_us, 2 * AT_ONCE_US);
    await_no_reader();
    source = source_fixture_own(&config);
}

/* A server that has just been connected to so often may let one more down. */
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

/* At each step of beginning. */
Test(source_mysql_tail, let_go_of_while_it_begins)
{
    for (int turns = 0; turns < 40; turns += 2) {
        struct pollfd polls[SOURCE_POLLS_MAX];
        source->ops->tail_begin(source, 0, clock_monotonic_us());
        for (int i = 0; i < turns; i++) {
            source->ops->polls(source, polls);
            (void)poll(polls, SOURCE_POLLS_MAX, 1);
            source->ops->process(source, polls, clock_monotonic_us());
        }
        source->ops->tail_end(source, clock_monotonic_us());
        struct source_event event;
        while (source->ops->next(source, &event)) {
            cr_assert(event.type == SOURCE_TAILING || event.type == SOURCE_ALIVE, "%d", event.type);
        }
    }
    tail_in_the_end();
    run("insert into outbox (payload) values ('1')");
    expect_rows(1, 1, 1);
}

static void
reopen(void)
{
    source->ops->free(source);
    source = source_fixture_own(&config);
}

Test(source_mysql_tail, a_source_that_polls_does_not_tail)
{
    config.mode = SOURCE_MODE_POLL;
    reopen();
    expect_refused("mode", "poll");
}

Test(source_mysql_tail, an_account_that_may_not_read_the_log_is_told_how_it_may)
{
    char sql[200];
    const char *const user = mysql_fixture_database();
    mysql_fixture_grant(admin, "all", "*");
    if (!mysql_fixture_is_mariadb(admin)) { /* where it is told who writes the outbox */
        (void)snprintf(sql, sizeof(sql), "grant select on performance_schema.* to %s@'%%'", user);
        run(sql);
    }
    struct source_config as_user = source_mysql_fixture_config_as_user(TAKEOVER_US);
    as_user.mode = SOURCE_MODE_TAIL;
    source_fixture_close(source, &config);
    config = as_user;
    source = source_fixture_own(&config);
    const bool is_mariadb = mysql_fixture_is_mariadb(admin);
    const char *const monitor = is_mariadb ? "binlog monitor" : "replication client";
    expect_refused("may not ask where the log ends", monitor);
    (void)snprintf(sql, sizeof(sql), "grant %s on *.* to %s@'%%'", monitor, user);
    run(sql);
    expect_refused("may not read the log", "replication slave");
    (void)snprintf(sql, sizeof(sql), "grant replication slave on *.* to %s@'%%'", user);
    run(sql);
    (void)source_fixture_tail(source, 0);
    run("insert into outbox (payload) values ('1')");
    expect_rows(1, 1, 1);
}

Test(source_mysql_tail, a_column_in_another_character_set)
{
    run("alter table outbox modify routing_key varchar(256) character set latin1 not null default "
        "''");
    expect_refused("column \"routing_key\"", "utf8mb4");
}

static void
await_wait_for_table(void)
{
    const uint64_t deadline_us = clock_monotonic_us() + WAIT_US;
    while (mysql_fixture_int(admin, "select count(*) from information_schema.processlist "
                                    "where db = database() "
                                    "and state = 'Waiting for table metadata lock'") == 0) {
        cr_assert_lt(clock_monotonic_us(), deadline_us, "nobody waits for a table");
        (void)usleep(5000); /* shorter is fine */
    }
}

static void
ask_who_writes(void)
{
    source->ops->watermark(source, clock_monotonic_us());
}

/* It waits for a lock here. */
Test(source_mysql_tail, the_log_begins_while_a_look_at_who_writes_is_out)
{
    MYSQL *other = mysql_fixture_connect();
    ask_who_writes();
    (void)source_fixture_expect(source, SOURCE_FINAL);
    mysql_fixture_exec(other, "lock tables outbox write");
    ask_who_writes();
    await_wait_for_table();
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    mysql_fixture_exec(other, "unlock tables");
    (void)source_fixture_expect(source, SOURCE_FINAL);
    (void)source_fixture_expect(source, SOURCE_TAILING);
    mysql_close(other);
}
