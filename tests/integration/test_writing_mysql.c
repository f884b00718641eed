/* The outbox table of MariaDB and MySQL, as plain SQL of any language writes to it: what arrives, and what is refused. */
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

/* With and without strict mode, in which the server cuts a value to what the column holds and goes on. */
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

/* ---- the body ---- */

static void
expect_body(const char *where, const char *hex)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "select concat(hex(payload), coalesce(payload_text, '')) from outbox where %s",
                   where); /* fits */
    cr_assert_str_eq(mysql_fixture_text(db, sql), hex);
}

/* As a driver binds it. */
static void
insert_bound(const char *text)
{
    static const char sql[] = "insert into outbox (payload_text) values (?)";
    MYSQL_STMT *statement = mysql_stmt_init(db);
    MYSQL_BIND bind = {
        .buffer_type = MYSQL_TYPE_STRING, .buffer = strdup(text), .buffer_length = strlen(text)};
    cr_assert_eq(mysql_stmt_prepare(statement, sql, sizeof(sql) - 1), 0);
    cr_assert_eq(mysql_stmt_bind_param(statement, &bind), 0);
    cr_assert_eq(mysql_stmt_execute(statement), 0, "%s", mysql_stmt_error(statement));
    (void)mysql_stmt_close(statement);
    free(bind.buffer);
}

Test(writing_mysql, text_arrives_byte_for_byte)
{
    static const char text[] = "{\"a\": \"C:\\\\new\\\\x41 \\\" \xc3\xbc \xf0\x9f\x98\x80 \"}  ";
    char hex[2 * sizeof(text)] = "";
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02X", (unsigned char)text[i]);
    }
    insert_bound(text);
    expect_body("id = 1", hex);
    run("set names latin1");
    insert_bound("\xfc");
    run("insert into outbox (payload_text) values ('\xfc')");
    run("set names utf8mb4");
    expect_body("id = 2", "C3BC");
    expect_body("id = 3", "C3BC");
}

Test(writing_mysql, bytes_and_empty_bodies)
{
    run("insert into outbox (payload) values (x'00FF5C'), ('')");
    run("insert into outbox (payload_text) values (''), ('a  ')");
    expect_body("id = 1", "00FF5C");
    expect_body("id = 2", "");
    expect_body("id = 3", "");
    expect_body("id = 4", "612020");
}

Test(writing_mysql, both_or_neither_is_refused_in_clear_words)
{
    expect_refused_in_any_mode("insert into outbox (`key`) values ('a')",
                               "a message has no body: give payload");
    expect_refused_in_any_mode("insert into outbox (payload, payload_text) values ('refused', 'a')",
                               "a message has two bodies: give either");
    run("insert into outbox (payload) values ('a')");
    expect_refused("update outbox set payload = null", "outbox_payload_set");
    expect_refused("update outbox set payload_text = 'b'", "outbox_payload_set");
    run("drop trigger outbox_payload");
    expect_refused("insert into outbox (payload_text) values ('a')", "outbox_payload_set");
}

/* Where nobody may make a trigger. */
Test(writing_mysql, without_the_trigger_bytes_go_on)
{
    run("drop trigger outbox_payload");
    run("insert into outbox (payload, message_id) values (x'00FF', "
        "x'0190163D8694739BAEA5966C26F8AD91')");
    run("insert into outbox (payload) values ('b')");
    expect_body("id = 1", "00FF");
    expect_refused_in_any_mode("insert into outbox (payload_text) values ('refused')",
                               "outbox_payload_set");
    expect_refused_in_any_mode("insert into outbox (payload, payload_text) values ('refused', 'a')",
                               "outbox_payload_set");
    expect_refused_in_any_mode("insert into outbox (`key`) values ('a'), ('b')",
                               "outbox_payload_set");
    expect_refused_in_any_mode("insert into outbox (payload, message_id) values ('refused', "
                               "'0190163d-8694-739b-aea5-966c26f8ad91')",
                               "outbox_message_id_16_bytes");
    expect_refused_in_any_mode("insert into outbox (payload, message_id) values ('refused', null), "
                               "('refused', null)",
                               "message_id");
}

/* ---- limits ---- */

/* Of bytes: a character of four bytes counts four times, though the column counts characters. */
static void
expect_limit(const char *column, unsigned most)
{
    char sql[300];
    char words[100];
    (void)snprintf(sql, sizeof(sql),
                   "insert into outbox (payload, %s) values ('', repeat('x', %u)), "
                   "('', repeat('\xf0\x9f\x98\x80', %u))",
                   column, most, most / 4); /* fits */
    run(sql);
    (void)snprintf(words, sizeof(words), "outbox_%s_%u_bytes", column[0] == '`' ? "key" : column,
                   most); /* fits */
    const unsigned lengths[] = {most + 1, most + 2, 2 * most, 70000};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        (void)snprintf(sql, sizeof(sql),
                       "insert into outbox (payload, %s) values ('refused', repeat('x', %u))",
                       column, lengths[i]); /* fits */
        expect_refused_in_any_mode(sql, words);
    }
    (void)snprintf(sql, sizeof(sql),
                   "insert into outbox (payload, %s) values ('refused', repeat('\xc3\xbc', %u))",
                   column, most / 2 + 1); /* fits */
    expect_refused_in_any_mode(sql, words);
}

Test(writing_mysql, what_could_never_be_sent_is_refused)
{
    expect_limit("exchange", 255);
    expect_limit("routing_key", 255);
    expect_limit("type", 255);
    expect_limit("content_type", 255);
    expect_limit("`key`", 1024);
}

#define HEADERS(json) "insert into outbox (payload, headers) values ('refused', " json ")"

Test(writing_mysql, headers_are_a_json_object_of_at_most_128_kib)
{
    run("insert into outbox (payload, headers) values ('', '{}'), ('', ' {\"a\": [1, "
        "\"\xc3\xbc\"]}'), "
        "('', concat('{\"a\":\"', repeat('x', 131072 - 8), '\"}')), ('', null)");
    cr_assert_str_eq(mysql_fixture_text(db, "select headers from outbox where id = 2"),
                     " {\"a\": [1, \"\xc3\xbc\"]}");
    expect_refused_in_any_mode(HEADERS("concat('{\"a\":\"', repeat('x', 131072 - 7), '\"}')"),
                               "outbox_headers_128_kib");
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

/* ---- names and keys ---- */

Test(writing_mysql, keys_are_compared_byte_by_byte)
{
    run("insert into outbox (payload, `key`) values ('', 'a'), ('', 'A'), ('', 'a '), ('', 'a  '), "
        "('', '\xc3\xa4'), ('', 'a\xcc\x88'), ('', ''), ('', ' '), ('', 'ss'), ('', '\xc3\x9f')");
    cr_assert_eq(mysql_fixture_int(db, "select count(distinct `key`) from outbox"), 10);
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from outbox where `key` = 'a'"), 1);
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from (select 1 from outbox group by `key`) "
                                       "as grouped"),
                 10);
    cr_assert_str_eq(
        mysql_fixture_text(db, "select group_concat(hex(`key`) order by id) from outbox"),
        "61,41,6120,612020,C3A4,61CC88,,20,7373,C39F");
}

/* ---- ids ---- */

Test(writing_mysql, an_id_is_made_where_none_is_given)
{
    run("set time_zone = '+13:00'");
    run("insert into outbox (payload) values ('0')");
    for (int i = 0; i < 10; i++) { /* 1024 rows */
        run("insert into outbox (payload) select 'more' from outbox");
    }
    cr_assert_eq(mysql_fixture_int(db, "select count(distinct message_id) from outbox"), 1024);
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from outbox where hex(message_id) not "
                                       "regexp '^[0-9A-F]{12}7[0-9A-F]{3}[89AB][0-9A-F]{15}$'"),
                 0, "UUID version 7");
    cr_assert_eq(
        mysql_fixture_int(db, "select count(*) from outbox where abs(timestampdiff(second, "
                              "created_at, '1970-01-01' + interval cast(conv(substr("
                              "hex(message_id), 1, 12), 16, 10) as unsigned) * 1000 microsecond)) "
                              "> 1 or created_at not between utc_timestamp(6) - interval 1 hour "
                              "and utc_timestamp(6)"),
        0, "of this millisecond, in UTC");
    cr_assert_eq(mysql_fixture_int(db, "select count(distinct substr(hex(message_id), 17, 1)) "
                                       "from outbox"),
                 4, "all four variants");
}

#define WITH_ID(id) "insert into outbox (payload, message_id) values ('refused', " id ")"

Test(writing_mysql, an_id_is_16_bytes_or_a_uuid_as_text)
{
    run("insert into outbox (payload, message_id) values "
        "('', x'0190163D8694739BAEA5966C26F8AD91'), "
        "('', '0190163d-8694-739b-aea5-966c26f8ad92'), "
        "('', '0190163D-8694-739B-AEA5-966C26F8AD93')");
    cr_assert_str_eq(
        mysql_fixture_text(db, "select group_concat(right(hex(message_id), 4)) from outbox"),
        "AD91,AD92,AD93");
    expect_refused_in_any_mode(WITH_ID("'0190163d8694739baea5966c26f8ad91'"), "outbox_message_id");
    expect_refused_in_any_mode(WITH_ID("'0190163d-8694-739b-aea5-966c26f8ad9x'"), "is no UUID");
    expect_refused_in_any_mode(WITH_ID("repeat(x'FF', 36)"), "is no UUID");
    expect_refused_in_any_mode(WITH_ID("'{0190163d-8694-739b-aea5-966c26f8ad91}'"),
                               "outbox_message_id");
    expect_refused_in_any_mode(WITH_ID("'0190163d-8694-739b-aea5-966c26f8ad91 and more'"),
                               "outbox_message_id");
    expect_refused_in_any_mode(WITH_ID("'4711'"), "outbox_message_id");
    /* Of several rows such a session makes the empty string of NULL. */
    expect_refused_in_any_mode(WITH_ID("null"), "message_id");
    expect_refused_in_any_mode(WITH_ID("uuid()), ('refused', null"), "message_id");
}

Test(writing_mysql, a_time_that_is_none_is_refused)
{
    static const char sql[] =
        "insert into outbox (payload, deliver_after) values ('refused', 'tomorrow')";
    run("insert into outbox (payload, deliver_after) values ('', utc_timestamp(6) + interval 3 "
        "day)");
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from outbox where deliver_after > "
                                       "created_at + interval 71 hour"),
                 1);
    expect_refused_in_any_mode(sql, "deliver_after");
}

/* ---- rights ---- */

/* As ORMs do it. */
Test(writing_mysql, the_view_takes_inserts_and_shows_nothing)
{
    MYSQL *admin = db;
    run("insert into outbox (payload_text) values ('somebody else''s')");
    mysql_fixture_grant(db, "insert, select", "outbox_new");
    db = mysql_fixture_connect_as_user();
    run("insert into outbox_new (id, message_id, `key`, payload, payload_text, created_at, "
        "deliver_after) values (default, default, 'k', null, '{\"a\": 1}', default, null)");
    cr_assert_eq(mysql_fixture_int(db, "select last_insert_id()"), 2);
    if (mysql_fixture_is_mariadb(admin)) {
        cr_assert_str_eq(
            mysql_fixture_text(db, "insert into outbox_new (payload_text) values ('x') returning "
                                   "concat(id, payload, length(message_id), created_at is null)"),
            "3x160");
    }
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from outbox_new"), 0);
    expect_refused("select payload from outbox", "denied");
    expect_refused("delete from outbox_new", "denied");
    expect_refused("insert into outbox_new (`key`) values ('k')", "has no body");
    mysql_close(db);
    db = admin;
    expect_body("id = 2", "7B2261223A20317D");
}

Test(writing_mysql, insert_is_the_only_right_needed)
{
    MYSQL *admin = db;
    mysql_fixture_grant(db, "insert", "outbox");
    db = mysql_fixture_connect_as_user();
    run("insert into outbox (routing_key, payload_text) values ('r', '{}')");
    expect_refused("select payload from outbox", "denied");
    expect_refused("delete from outbox", "denied");
    mysql_close(db);
    db = admin;
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from outbox where routing_key = 'r'"), 1);
}

/* ---- the tables ---- */

Test(writing_mysql, version_row_is_alone)
{
    expect_refused_in_any_mode("insert into outbox_schema (version) values (2)", "");
    expect_refused_in_any_mode("insert into outbox_schema (version, single) values (2, 2)",
                               "outbox_schema_single");
}

/* The command in the comment of a file, with the client that Debian has. */
static void
run_by_hand(const char *file)
{
    char command[4096];
    (void)snprintf(
        command, sizeof(command),
        "cd " SOURCE_ROOT "/outbox-sql/mysql/schema && command=$(sed -n 's/^-- \\(for file in .* "
        "do \\)mariadb \\(.*\\) shop <$file.sql; done$/\\1client \\2 %s <$file.sql || exit 1; "
        "done/p' %s.sql) && test -n \"$command\" && client() { "
        "MYSQL_PWD=$OUTBOX_TEST_MYSQL_PASSWORD "
        "$(command -v mariadb || command -v mysql) --no-defaults --host=$OUTBOX_TEST_MYSQL_HOST "
        "--port=$OUTBOX_TEST_MYSQL_PORT "
        "--user=$OUTBOX_TEST_MYSQL_USER \"$@\"; } && eval \"$command\"",
        mysql_fixture_database(), file); /* fits */
    cr_assert_eq(system(command), 0);    /* NOLINT: nobody else's words are in it */
}

Test(writing_mysql, the_files_run_by_hand)
{
    run("drop table outbox, outbox_schema");
    run("drop view outbox_new");
    run_by_hand("outbox");
    run_by_hand("outbox_held");
    run("insert into outbox (payload_text) values ('x')");
    cr_assert_eq(mysql_fixture_int(db, "select version from outbox_relay_schema"), 1);
    cr_assert_eq(mysql_fixture_int(db, "select version from outbox_schema"), 1);
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from outbox_new"), 0);
}

#define COLUMNS                                                                            \
    "id, message_id, exchange, routing_key, `key`, type, content_type, headers, payload, " \
    "created_at, deliver_after"

/* What a relay does: a message that is set aside and goes back is the one that it was, at the place that it had. */
Test(writing_mysql, a_message_survives_that_it_is_set_aside)
{
    outbox_mysql_fixture_load_relay(db);
    run("insert into outbox (exchange, routing_key, `key`, type, content_type, headers, payload, "
        "deliver_after) values ('e ', 'r', repeat('k', 1024), 't', 'c', '{\"a\": 1}', x'00FF5C20', "
        "'2030-01-01 00:00:00.123456'), (null, '', null, null, null, null, '', null)");
    run("create table before_it like outbox");
    run("insert into before_it (" COLUMNS ") select " COLUMNS " from outbox");
    run("insert into outbox_held (" COLUMNS ", state) select " COLUMNS ", 'retrying' from outbox");
    run("delete from outbox");
    run("insert into outbox (payload) values ('new')");
    run("insert into outbox (" COLUMNS ") select " COLUMNS " from outbox_held");
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from (select " COLUMNS " from outbox union "
                                       "select " COLUMNS " from before_it) as both_tables"),
                 3, "the new one, and each of the others once");
    expect_refused(
        "insert into outbox_held (id, message_id, routing_key, payload, created_at, state)"
        " values (9, '1', '', '', utc_timestamp(), 'lost')",
        "outbox_held_state");
    expect_refused(
        "insert into outbox_held (id, message_id, routing_key, payload, created_at, state)"
        " values (9, '1', '', '', utc_timestamp(), 'waiting')",
        "outbox_held_waiting_has_a_key");
}

Test(writing_mysql, what_operators_do_is_noted)
{
    outbox_mysql_fixture_load_relay(db);
    run("insert into outbox_held_act (who, what, message_id, held_id, `key`, state) values "
        "('me@here', 'retry', x'0190163D8694739BAEA5966C26F8AD91', 7, 'k', 'dead')");
    expect_refused("insert into outbox_held_act (who, what, message_id, held_id, state) values "
                   "('me@here', 'forget', '1', 7, 'dead')",
                   "outbox_held_act_what");
}

/* ---- what is held ---- */

/* The relay makes the same of the key of a row in the outbox, and of one that the log brings. */
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
/* As a relay sets it aside. */
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

Test(writing_mysql, a_scheduled_message_is_cancelled_where_it_is)
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
    cr_assert_not(cancel(db, "uuid()"));
    cr_assert(cancel(db, MESSAGE_BYTES));
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from outbox_held"), 0);
}

Test(writing_mysql, what_is_due_or_never_was_scheduled_is_not_cancelled)
{
    outbox_mysql_fixture_load_relay(db);
    run(SCHEDULED("utc_timestamp(6) - interval 1 second"));
    cr_assert_not(cancel(db, MESSAGE_BYTES));
    run(SET_ASIDE);
    run("update outbox_held set state = 'dead'");
    run("update outbox set deliver_after = null");
    cr_assert_not(cancel(db, MESSAGE_BYTES));
    cr_assert_eq(mysql_fixture_int(db, "select (select count(*) from outbox) + "
                                       "(select count(*) from outbox_held)"),
                 2);
}

/* Promise: a relay that moves it from one table to the other meanwhile cannot hide it. */
Test(writing_mysql, a_message_is_cancelled_while_a_relay_moves_it)
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

/* Promise: with the server's default isolation too, nobody who writes waits for one that cancels. */
Test(writing_mysql, who_cancels_keeps_nobody_from_writing)
{
    MYSQL *writer = mysql_fixture_connect();
    outbox_mysql_fixture_load_relay(db);
    run(SCHEDULED("utc_timestamp(6) + interval 1 day"));
    run("insert into outbox (payload) values ('other')");
    run("insert into outbox_held (id, message_id, routing_key, payload, created_at, state) values "
        "(3, x'0190163D8694739BAEA5966C26F8AD90', '', '', now(), 'scheduled')");
    run("start transaction");
    cr_assert(cancel(db, MESSAGE_BYTES));
    cr_assert(cancel(db, "x'0190163D8694739BAEA5966C26F8AD90'"));
    cr_assert_not(cancel(db, "uuid()"));
    mysql_fixture_exec(writer, "set innodb_lock_wait_timeout = 1");
    mysql_fixture_exec(writer, "insert into outbox (payload) values ('new')");
    mysql_fixture_exec(writer, "delete from outbox where id = 2");
    mysql_fixture_exec(
        writer, "insert into outbox_held (id, message_id, routing_key, payload, created_at, state) "
                "values (7, x'0190163D8694739BAEA5966C26F8AD92', '', '', now(), 'dead')");
    run("commit");
    mysql_close(writer);
}

Test(writing_mysql, who_cancels_needs_no_right_on_the_tables)
{
    MYSQL *user;
    char sql[200];
    outbox_mysql_fixture_load_relay(db);
    run(SCHEDULED("utc_timestamp(6) + interval 1 day"));
    mysql_fixture_grant(db, "insert", "outbox");
    (void)snprintf(sql, sizeof(sql), "grant execute on procedure outbox_cancel to '%s'@'%%'",
                   mysql_fixture_database()); /* fits */
    run(sql);
    user = mysql_fixture_connect_as_user();
    cr_assert(cancel(user, MESSAGE_BYTES));
    mysql_close(user);
}
