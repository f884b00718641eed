/* Writing to the outbox in cases that only MariaDB and MySQL have: message ids as bytes, or as text that a trigger
 * converts, JSON that is a text, the hash of a key, and snapshots. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/mysql_fixture.h"
#include "tests/integration/outbox_mysql_fixture.h"

static MYSQL *db;

static void
set_up(void)
{
    db = mysql_fixture_create();
    outbox_mysql_fixture_load(db);
}

static void
tear_down(void)
{
    mysql_fixture_drop(db);
}

TestSuite(writing_mysql, .init = set_up, .fini = tear_down, .timeout = 120);

static void
run(const char *sql)
{
    mysql_fixture_exec(db, sql);
}

static void
expect_refused(const char *sql, const char *words)
{
    cr_assert_neq(mysql_fixture_try(db, sql), 0, "accepted: %s", sql);
    cr_assert_not_null(strstr(mysql_error(db), words), "\"%s\" is not in: %s", words,
                       mysql_error(db));
}

/* With strict mode and without it; without it the server shortens values to the column's length and goes on. */
static void
expect_refused_in_any_mode(const char *sql, const char *words)
{
    run("set sql_mode = 'STRICT_TRANS_TABLES'");
    cr_assert_neq(mysql_fixture_try(db, sql), 0, "accepted: %s", sql);
    run("set sql_mode = ''");
    expect_refused(sql, words);
    run("set sql_mode = default");
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from outbox where payload = 'refused'"), 0);
}

/* Like a database where nobody may create the trigger, or where somebody has dropped it. */
Test(writing_mysql, without_the_trigger_ids_are_16_bytes)
{
    run("drop trigger outbox_payload");
    run("insert into outbox (payload, message_id) values ('', "
        "x'0190163D8694739BAEA5966C26F8AD91')");
    expect_refused_in_any_mode("insert into outbox (payload, message_id) values ('refused', "
                               "'0190163d-8694-739b-aea5-966c26f8ad91')",
                               "outbox_message_id_16_bytes");
    expect_refused_in_any_mode("insert into outbox (payload, message_id) values ('refused', null), "
                               "('refused', null)",
                               "message_id");
}

#define HEADERS(json) "insert into outbox (payload, headers) values ('refused', " json ")"

Test(writing_mysql, headers_are_a_json_object_and_stay_as_they_are)
{
    run("insert into outbox (payload, headers) values ('', ' {\"a\": [1, \"\xc3\xbc\"]}')");
    cr_assert_str_eq(mysql_fixture_text(db, "select headers from outbox"),
                     " {\"a\": [1, \"\xc3\xbc\"]}");
    run("insert into outbox (payload, headers) values "
        "('', concat('{\"a\":', repeat('[', 30), repeat(']', 30), '}'))");
    expect_refused_in_any_mode(
        HEADERS("concat('{\"a\":', repeat('[', 100), repeat(']', 100), '}')"),
        "outbox_headers_object");
    expect_refused_in_any_mode(HEADERS("'[1]'"), "outbox_headers_object");
    expect_refused_in_any_mode(HEADERS("'1'"), "outbox_headers_object");
    expect_refused_in_any_mode(HEADERS("'null'"), "outbox_headers_object");
    expect_refused_in_any_mode(HEADERS("'{\"a\": 1'"), "outbox_headers_object");
    expect_refused_in_any_mode(HEADERS("''"), "outbox_headers_object");
}

/* ---- ids ---- */

Test(writing_mysql, an_id_that_is_made_is_a_uuid_of_version_7)
{
    run("set time_zone = '+13:00'");
    run("insert into outbox (payload) values ('0')");
    for (int i = 0; i < 7; i++) { /* 128 rows */
        run("insert into outbox (payload) select 'more' from outbox");
    }
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from outbox where hex(message_id) not "
                                       "regexp '^[0-9A-F]{12}7[0-9A-F]{3}[89AB][0-9A-F]{15}$'"),
                 0);
    cr_assert_eq(
        mysql_fixture_int(db, "select count(*) from outbox where abs(timestampdiff(second, "
                              "created_at, '1970-01-01' + interval cast(conv(substr("
                              "hex(message_id), 1, 12), 16, 10) as unsigned) * 1000 microsecond)) "
                              "> 1"),
        0, "of this millisecond, in UTC");
    cr_assert_eq(mysql_fixture_int(db, "select count(distinct substr(hex(message_id), 17, 1)) "
                                       "from outbox"),
                 4, "all four variants");
}

#define WITH_ID(id) "insert into outbox (payload, message_id) values ('refused', " id ")"

Test(writing_mysql, an_id_is_16_bytes_or_a_uuid_of_36)
{
    run("insert into outbox (payload, message_id) values ('', "
        "x'0190163D8694739BAEA5966C26F8AD91')");
    cr_assert_str_eq(mysql_fixture_text(db, "select hex(message_id) from outbox"),
                     "0190163D8694739BAEA5966C26F8AD91");
    expect_refused_in_any_mode(WITH_ID("'0190163d8694739baea5966c26f8ad91'"), "outbox_message_id");
    expect_refused_in_any_mode(WITH_ID("repeat(x'FF', 36)"), "is no UUID");
    expect_refused_in_any_mode(WITH_ID("'{0190163d-8694-739b-aea5-966c26f8ad91}'"),
                               "outbox_message_id");
}

/* ---- what is held ---- */

/* The relay computes the same hash from the key of a row in the outbox, and of one that the log brings. */
Test(writing_mysql, held_messages_are_found_by_the_hash_of_their_key)
{
    outbox_mysql_fixture_load_relay(db);
    run("insert into outbox_held (id, message_id, routing_key, `key`, payload, created_at, state) "
        "values (1, '', '', '', '', now(), 'dead'), (2, '', '', null, '', now(), 'dead'), "
        "(3, '', '', 'k\xc3\xbc', '', now(), 'dead'), (4, '', '', 'K\xc3\xbc', '', now(), 'dead')");
    run("set names latin1");
    run("update outbox_held set `key` = 'k\xfc' where id = 4");
    run("set names utf8mb4");
    cr_assert_str_eq(
        mysql_fixture_text(db, "select group_concat(key_hash order by id) from outbox_held"),
        /* printf 'kü' | sha256sum | cut -c1-15 */
        "1025426827051516353,0,103777853817363823,103777853817363823");
}

/* ---- cancelling ---- */

#define MESSAGE_ID "0190163d-8694-739b-aea5-966c26f8ad91"
#define MESSAGE_BYTES "x'0190163D8694739BAEA5966C26F8AD91'"
#define SCHEDULED(when)                                                                           \
    "insert into outbox (payload, message_id, deliver_after) values ('', '" MESSAGE_ID "', " when \
    ")"
/* The statement by which a relay sets a message aside. */
#define SET_ASIDE                                                                                \
    "insert into outbox_held (id, message_id, routing_key, payload, created_at, deliver_after, " \
    "state) select id, message_id, routing_key, payload, created_at, deliver_after, "            \
    "'scheduled' from outbox"

static bool
cancel(MYSQL *conn, const char *id)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "call outbox_cancel(%s, @cancelled)", id); /* fits */
    mysql_fixture_exec(conn, sql);
    return mysql_fixture_int(conn, "select @cancelled") == 1;
}

Test(writing_mysql, bytes_or_text_say_which_one_is_cancelled)
{
    outbox_mysql_fixture_load_relay(db);
    run(SCHEDULED("utc_timestamp(6) + interval 1 day"));
    cr_assert(cancel(db, "'" MESSAGE_ID "'"));
    cr_assert_not(cancel(db, MESSAGE_BYTES), "it is gone");
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from outbox"), 0);
    run(SCHEDULED("utc_timestamp(6) + interval 1 day"));
    run(SET_ASIDE);
    run("delete from outbox");
    cr_assert_not(cancel(db, "null"));
    cr_assert(cancel(db, MESSAGE_BYTES));
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from outbox_held"), 0);
}

/* Promise: a relay that moves it cannot hide it from a transaction with an older snapshot, either. */
Test(writing_mysql, a_message_is_cancelled_where_a_snapshot_shows_it)
{
    MYSQL *relay = mysql_fixture_connect();
    outbox_mysql_fixture_load_relay(db);
    run(SCHEDULED("utc_timestamp(6) + interval 1 day"));
    run("start transaction with consistent snapshot");
    mysql_fixture_exec(relay, SET_ASIDE);
    mysql_fixture_exec(relay, "delete from outbox");
    mysql_fixture_plain_isolation(db);
    cr_assert(cancel(db, MESSAGE_BYTES));
    run("commit");
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from outbox_held"), 0);
    mysql_close(relay);
}
