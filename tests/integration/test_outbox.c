/* The writer libraries with real servers: what they write, what they refuse, and what they say when something fails. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/fail_alloc.h"
#include "tests/integration/message_fixture.h"
#include "tests/integration/write_fixture.h"

static struct db *home; /* no test leaves it in a transaction or disconnected */
static struct db *tx;
static struct outbox_error error;

static void
set_up(void)
{
    home = db_create();
    db_load_outbox(home);
    tx = db_connect();
}

static void
tear_down(void)
{
    db_close(tx);
    db_drop(home);
}

TestSuite(outbox, .init = set_up, .fini = tear_down, .timeout = 120);

static outbox_result
write_message(const struct outbox_message *message)
{
    memset(&error, 0, sizeof(error));
    return write_fixture_message(tx, message, &error);
}

static outbox_result
write_one(const char *payload)
{
    const struct outbox_message message = message_fixture_of(payload);
    return write_message(&message);
}

static void
expect_written(const char *payload)
{
    cr_assert_eq(write_one(payload), OUTBOX_OK, "%s", error.message);
}

static int64_t
row_count(void)
{
    return db_int(tx, "select count(*) from outbox");
}

static void
expect(outbox_result result, outbox_result wanted, const char *sqlstate, const char *words)
{
    message_fixture_expect(&error, result, wanted, sqlstate, words);
}

static void
expect_words(outbox_result result, outbox_result wanted, enum write_fixture_error which)
{
    const struct write_fixture_words says = write_fixture_words(which);
    expect(result, wanted, says.sqlstate[0] == '\0' ? error.sqlstate : says.sqlstate, says.words);
}

Test(outbox, every_field_arrives)
{
    const struct outbox_message message = message_fixture_with_everything();
    db_exec(tx, "begin");
    cr_assert_eq(write_message(&message), OUTBOX_OK, "%s", error.message);
    db_exec(tx, "commit");
    cr_assert_eq(db_int(home, "select count(*) from outbox where exchange = 'orders ' and "
                              "routing_key = 'order.''paid''' and \"key\" = 'key " EURO SMILE "\\' "
                              "and type = 'Order\"Paid\"' and content_type = "
                              "'application/json; \\'' --'"),
                 1);
    cr_assert_eq(db_int(home, "select count(*) from outbox where payload = "
                              "unhex('7b00ff5c27bf27815c7d') and payload_text is null and "
                              "epoch_us(deliver_after) = 1893456000123456"),
                 1);
    cr_assert_eq(db_int(home, "select count(*) from outbox where header_of(headers, 'tenant') = "
                              "'7' and bytes(header_of(headers, 'note')) = "
                              "unhex('6120226222205c200109e282ac')"),
                 1);
}

Test(outbox, every_byte_arrives)
{
    unsigned char payload[256];
    char hex[2 * sizeof(payload) + 1];
    char sql[1000];
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    for (unsigned i = 0; i < sizeof(payload); i++) {
        payload[i] = (unsigned char)i;
        (void)snprintf(hex + (size_t)2 * i, 3, "%02x", i);
    }
    message.payload = payload;
    message.payload_length = sizeof(payload);
    db_exec(tx, "begin");
    cr_assert_eq(write_message(&message), OUTBOX_OK, "%s", error.message);
    (void)snprintf(sql, sizeof(sql), "select count(*) from outbox where payload = unhex('%s')",
                   hex); /* fits */
    cr_assert_eq(db_int(tx, sql), 1);
}

Test(outbox, what_is_not_said_is_null)
{
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    db_change_zone(tx);
    db_exec(tx, "begin");
    cr_assert_eq(write_message(&message), OUTBOX_OK, "%s", error.message);
    cr_assert_eq(db_int(tx, "select count(*) from outbox where exchange is null and routing_key = "
                            "'' and \"key\" is null and type is null and content_type is null and "
                            "headers is null and payload = '' and deliver_after is null and "
                            "created_at between from_now(-3600) and from_now(0)"),
                 1);
    message.exchange = "";
    cr_assert_eq(write_message(&message), OUTBOX_OK);
    cr_assert_eq(db_int(tx, "select count(*) from outbox where exchange = ''"), 1);
}

Test(outbox, ids_are_told_and_may_be_given)
{
    static const char given[] = "0190163d-8694-739b-aea5-966c26f8ad91";
    struct outbox_id mine;
    struct outbox_id ids[2];
    char text[37];
    cr_assert_eq(outbox_id_parse(given, &mine), OUTBOX_OK);
    struct outbox_message messages[2] = {message_fixture_of("new"), message_fixture_of("given")};
    messages[1].message_id = &mine;
    db_exec(tx, "begin");
    cr_assert_eq(write_fixture_many(tx, messages, 2, ids, &error), OUTBOX_OK, "%s", error.message);
    outbox_id_format(&ids[0], text);
    cr_assert_str_eq(db_text(tx, "select id_text(message_id) from outbox where payload = 'new'"),
                     text);
    cr_assert_eq(ids[0].bytes[6] >> 4, 7);
    cr_assert_str_eq(db_text(tx, "select id_text(message_id) from outbox where payload = 'given'"),
                     given);
    cr_assert_arr_eq(ids[1].bytes, mine.bytes, sizeof(mine.bytes));
}

Test(outbox, order_of_rows_is_the_order_of_the_array)
{
    enum { COUNT = 5000 };
    static struct outbox_message messages[COUNT];
    static char payloads[COUNT][8];
    for (int i = 0; i < COUNT; i++) {
        /* Neither rising nor falling, so that sorting by content cannot produce this order. */
        (void)snprintf(payloads[i], sizeof(payloads[i]), "%d", (int)((i * 7919L) % COUNT));
        messages[i] = message_fixture_of(payloads[i]);
    }
    db_exec(tx, "begin");
    cr_assert_eq(write_fixture_many(tx, messages, COUNT, NULL, &error), OUTBOX_OK, "%s",
                 error.message);
    db_exec(tx, "commit");
    cr_assert_eq(db_int(tx, "select count(*) from (select payload, row_number() over (order by id) "
                            "- 1 as place from outbox) as ordered where payload = "
                            "bytes('' || (place * 7919 % 5000))"),
                 COUNT);
}

/* ---- transactions ---- */

Test(outbox, committed_or_not_with_the_transaction)
{
    db_exec(tx, "begin");
    expect_written("gone");
    db_exec(tx, "rollback");
    db_exec(tx, "begin");
    db_exec(tx, "savepoint s");
    expect_written("gone too");
    db_exec(tx, "rollback to s");
    expect_written("stays");
    cr_assert_eq(db_int(home, "select count(*) from outbox"), 0);
    db_exec(tx, "commit");
    cr_assert_eq(db_int(home, "select count(*) from outbox where payload = 'stays'"), 1);
    cr_assert_eq(row_count(), 1);
}

Test(outbox, refuses_without_a_transaction)
{
    expect(write_one("x"), OUTBOX_NO_TRANSACTION, "", "no transaction");
    expect(write_fixture_many(tx, NULL, 0, NULL, &error), OUTBOX_NO_TRANSACTION, "", "");
    db_exec(tx, "begin");
    cr_assert_eq(write_fixture_many(tx, NULL, 0, NULL, &error), OUTBOX_OK);
    db_exec(tx, "commit");
    expect(write_one("x"), OUTBOX_NO_TRANSACTION, "", "no transaction");
    cr_assert_eq(row_count(), 0);
}

Test(outbox, a_read_only_transaction_is_told)
{
    db_exec(tx, "start transaction read only");
    expect_words(write_one("x"), OUTBOX_DATABASE, WRITE_WORDS_READ_ONLY);
}

/* ---- what fails ---- */

/* Two transactions wait for each other, and ours is the victim. */
Test(outbox, a_deadlock_is_a_retry_of_all)
{
    struct db *other = db_connect();
    db_exec(home, "create table thing (id int primary key, n int not null)");
    db_exec(home, "insert into thing select i, 0 from " DB_SERIES("1", "8"));
    db_exec(tx, write_fixture_sql(WRITE_SQL_LOSES));
    db_exec(other, write_fixture_sql(WRITE_SQL_WINS));
    db_exec(tx, "begin");
    db_exec(tx, "update thing set n = 1 where id = 1");
    db_exec(other, "begin");
    db_exec(other, "update thing set n = 2 where id > 1");
    db_exec(other, write_fixture_sql(WRITE_SQL_HOLDS_PLACES));
    const int64_t session = db_session(other);
    db_send(other, "update thing set n = 2 where id = 1");
    db_wait_blocked(home, session);
    expect_words(write_one("x"), OUTBOX_RETRY, WRITE_WORDS_DEADLOCK);
    db_await_end(other);
    db_exec(other, "rollback");
    expect(write_one("x"), OUTBOX_NO_TRANSACTION, "", "rolled back");
    db_exec(tx, "rollback");
    cr_assert_eq(db_int(tx, "select n from thing where id = 1"), 0);
    cr_assert_eq(row_count(), 0);
    db_exec(tx, "begin");
    expect_written("x");
    db_close(other);
}

Test(outbox, a_lock_timeout_is_a_retry)
{
    struct db *other = db_connect();
    db_exec(tx, "create table thing (n int)");
    db_exec(other, "begin");
    db_exec(other, write_fixture_sql(WRITE_SQL_HOLDS_PLACES));
    db_limit_waits(tx);
    db_exec(tx, "begin");
    db_exec(tx, "insert into thing values (1)");
    expect_words(write_one("x"), OUTBOX_RETRY, WRITE_WORDS_LOCKED);
    db_exec(other, "rollback");
    db_close(other);
    if (write_fixture_goes_on()) {
        cr_assert_eq(db_int(tx, "select count(*) from thing"), 1);
        expect_written("x");
    }
}

Test(outbox, connection_lost)
{
    db_exec(tx, "begin");
    expect_written("gone");
    db_end_session(home, db_session(tx));
    expect_words(write_one("x"), OUTBOX_CONNECTION, WRITE_WORDS_LOST);
    expect(write_one("x"), OUTBOX_CONNECTION, "", "not open");
    cr_assert_eq(db_int(home, "select count(*) from outbox"), 0);
}

Test(outbox, refuses_before_it_sends)
{
    struct outbox_message messages[2] = {message_fixture_of("good"), message_fixture_of("bad")};
    messages[1].routing_key = "\xff";
    db_exec(tx, "begin");
    expect(write_fixture_many(tx, messages, 2, NULL, &error), OUTBOX_INVALID, "", "message 1");
    cr_assert_eq(row_count(), 0);
    expect_written("x");
}

/* Also on servers that would shorten a text that is too long, and go on. */
Test(outbox, limits_are_looked_at_before_the_server_cuts)
{
    char text[1026];
    struct outbox_message message = message_fixture_of("x");
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    db_exec(tx, write_fixture_sql(WRITE_SQL_LAX));
    db_exec(tx, "begin");
    message.key = text;
    expect(write_message(&message), OUTBOX_INVALID, "", "longer than 1024");
    text[1024] = '\0';
    cr_assert_eq(write_message(&message), OUTBOX_OK, "%s", error.message);
    text[255] = '\0';
    message.key = NULL;
    message.exchange = message.routing_key = message.type = message.content_type = text;
    cr_assert_eq(write_message(&message), OUTBOX_OK, "%s", error.message);
    cr_assert_eq(db_int(tx, "select count(*) from outbox where length(\"key\") = 1024 or "
                            "length(exchange) + length(routing_key) + length(type) + "
                            "length(content_type) = 4 * 255"),
                 2);
    text[255] = 'x';
    text[256] = '\0';
    expect(write_message(&message), OUTBOX_INVALID, "", "longer than 255");
}

Test(outbox, no_memory_at_any_point)
{
    const struct outbox_header header = {"name", "value"};
    struct outbox_message message = message_fixture_of("x");
    message.headers = &header;
    message.header_count = 1;
    unsigned nth = 0;
    outbox_result result = OUTBOX_NO_MEMORY;
    db_exec(tx, "begin");
    while (result != OUTBOX_OK) {
        fail_alloc_arm(++nth);
        result = write_message(&message);
        const bool failed = fail_alloc_happened();
        fail_alloc_arm(0);
        cr_assert_eq(result, failed ? OUTBOX_NO_MEMORY : OUTBOX_OK, "allocation %u", nth);
        cr_assert_eq(row_count(), failed ? 0 : 1);
    }
    cr_assert_gt(nth, 3u, "the allocations were not reached");
}

/* ---- the tables ---- */

Test(outbox, other_version_of_the_tables)
{
    db_exec(tx, "update outbox_schema set version = 2");
    db_exec(tx, "begin");
    expect(write_one("x"), OUTBOX_SCHEMA, "", "have version 2, this library writes version 1");
    cr_assert_eq(row_count(), 0);
    db_exec(tx, "delete from outbox_schema");
    expect(write_one("x"), OUTBOX_SCHEMA, "", "empty");
    cr_assert_eq(row_count(), 0);
}

Test(outbox, tables_missing)
{
    db_exec(home, write_fixture_sql(WRITE_SQL_WITHOUT_TYPE));
    db_exec(tx, "begin");
    expect_words(write_one("x"), OUTBOX_SCHEMA, WRITE_WORDS_NO_TYPE);
    db_exec(tx, "rollback");
    db_exec(home, "drop table outbox");
    db_exec(tx, "begin");
    expect_words(write_one("x"), OUTBOX_SCHEMA, WRITE_WORDS_NO_OUTBOX);
    db_exec(tx, "rollback");
    db_exec(home, "drop table outbox_schema");
    db_exec(tx, "begin");
    expect_words(write_one("x"), OUTBOX_SCHEMA, WRITE_WORDS_NO_SCHEMA);
}

Test(outbox, version_row_is_alone)
{
    cr_assert_not(db_try(tx, "insert into outbox_schema (version) values (2)"));
    cr_assert_not(db_try(tx, "insert into outbox_schema (version, single) values (2, false)"));
}

Test(outbox, few_rights_are_needed)
{
    db_allow(home, "select", "outbox_schema"); /* on PostgreSQL everybody has it */
    struct db *const admin = tx;
    tx = db_connect_allowed();
    db_exec(tx, "begin");
    expect_words(write_one("x"), OUTBOX_DATABASE, WRITE_WORDS_DENIED);
    db_exec(tx, "rollback");
    db_allow(home, "insert", "outbox");
    db_exec(tx, "begin");
    expect_written("x");
    db_exec(tx, "commit");
    db_close(tx);
    tx = admin;
    cr_assert_eq(row_count(), 1);
}

Test(outbox, raw_headers)
{
    struct outbox_message message = message_fixture_of("x");
    message.headers_json = " {\"n\": 1, \"b\": true}";
    db_exec(tx, "begin");
    cr_assert_eq(write_message(&message), OUTBOX_OK, "%s", error.message);
    cr_assert_eq(db_int(tx, "select count(*) from outbox where header_of(headers, 'n') = '1' and "
                            "header_of(headers, 'b') = 'true'"),
                 1);
    message.headers_json = "{\"n\": 1";
    expect_words(write_message(&message), OUTBOX_INVALID, WRITE_WORDS_BROKEN_JSON);
    if (write_fixture_goes_on()) {
        expect_written("goes on");
    }
}

Test(outbox, text_is_utf8_whatever_the_connection_says)
{
    const struct outbox_header header = {"h" EURO, EURO};
    struct outbox_message message = message_fixture_of("x");
    message.key = EURO;
    message.headers = &header;
    message.header_count = 1;
    db_exec(tx, "set names 'latin1'");
    db_exec(tx, "begin");
    cr_assert_eq(write_message(&message), OUTBOX_OK, "%s", error.message);
    db_exec(tx, "commit");
    cr_assert_str_eq(db_text(home, "select \"key\" || header_of(headers, 'h" EURO "') from outbox"),
                     EURO EURO);
}

Test(outbox, plain_insert_is_enough)
{
    db_exec(tx, "insert into outbox (routing_key, payload) values ('a', 'b')");
    cr_assert_eq(db_int(tx, "select count(*) from outbox where message_id is not null"), 1);
}
