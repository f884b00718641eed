/* Plain SQL of any language on the outbox: what arrives, what is refused, who may write, and who may cancel. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/write_fixture.h"

static struct db *db;
static struct db *lax; /* in a mode in which the server shortens what does not fit, if it has one */

static void
set_up_bare(void)
{
    db = db_create();
}

static void
set_up(void)
{
    set_up_bare();
    db_load_outbox(db);
    lax = db_connect();
    db_exec(lax, write_fixture_sql(WRITE_SQL_LAX));
}

static void
tear_down(void)
{
    db_close(lax);
    db_drop(db);
}

TestSuite(writing, .init = set_up, .fini = tear_down, .timeout = 120);
TestSuite(writing_by_hand, .init = set_up_bare, .fini = tear_down, .timeout = 120);

static void
expect_refused_by(struct db *session, const char *sql, const char *words)
{
    cr_assert_not(db_try(session, sql), "accepted: %s", sql);
    cr_assert_not_null(strstr(db_error(session), words), "\"%s\" is not in: %s", words,
                       db_error(session));
}

static void
expect_refused(const char *sql, const char *words)
{
    expect_refused_by(db, sql, words);
}

/* A strict server may refuse a text that is too long with its own words. The payload of a refused row is 'refused'. */
static void
expect_refused_in_any_mode(const char *sql, const char *words)
{
    cr_assert_not(db_try(db, sql), "accepted: %s", sql);
    expect_refused_by(lax, sql, words);
    cr_assert_eq(db_int(db, "select count(*) from outbox where payload = 'refused'"), 0);
}

/* ---- the body ---- */

static void
expect_body(const char *where, const char *hex)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "select concat(hex(payload), coalesce(payload_text, '')) from outbox where %s",
                   where); /* fits */
    cr_assert_str_eq(db_text(db, sql), hex);
}

/* A driver that binds parameters: a character that would be an escape in a literal is sent as it is. */
Test(writing, text_arrives_byte_for_byte)
{
    static const char text[] = "{\"a\": \"C:\\\\new\\\\x41 \\\" \xc3\xbc \xf0\x9f\x98\x80 \"}  ";
    char hex[2 * sizeof(text)] = "";
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02X", (unsigned char)text[i]);
    }
    write_fixture_text(db, text);
    expect_body("id = 1", hex);
    struct db *latin = db_connect();
    db_exec(latin, "set names 'latin1'");
    write_fixture_text(latin, "\xfc");
    db_exec(latin, "insert into outbox (payload_text) values ('\xfc')");
    expect_body("id = 2", "C3BC");
    expect_body("id = 3", "C3BC");
    db_close(latin);
}

Test(writing, bytes_and_files_and_empty_bodies)
{
    db_exec(db, "insert into outbox (payload) values (unhex('00FF5C')), ('')");
    db_exec(db, "insert into outbox (payload_text) values (''), ('a  ')");
    expect_body("id = 1", "00FF5C");
    expect_body("id = 2", "");
    expect_body("id = 3", "");
    expect_body("id = 4", "612020");
    db_load_rows(db, "outbox (\"key\", payload_text)", "a,{\xc3\xbc: 1}\n");
    expect_body("\"key\" = 'a'", "7BC3BC3A20317D");
}

Test(writing, both_or_neither_is_refused_in_clear_words)
{
    expect_refused_in_any_mode("insert into outbox (\"key\") values ('a')",
                               "a message has no body: give payload");
    expect_refused_in_any_mode("insert into outbox (payload, payload_text) values ('refused', 'a')",
                               "a message has two bodies: give either");
    db_exec(db, "insert into outbox (payload) values ('a')");
    expect_refused("update outbox set payload = null", "outbox_payload_set");
    expect_refused("update outbox set payload_text = 'b'", "outbox_payload_set");
}

/* Like a database where nobody may create the trigger, or where somebody has dropped it. */
Test(writing, without_the_trigger_bytes_go_on)
{
    db_exec(db, write_fixture_sql(WRITE_SQL_WITHOUT_TRIGGER));
    db_exec(db, "insert into outbox (payload) values (unhex('00FF'))");
    expect_body("id = 1", "00FF");
    expect_refused_in_any_mode("insert into outbox (payload_text) values ('refused')",
                               "outbox_payload_set");
    expect_refused_in_any_mode("insert into outbox (payload, payload_text) values ('refused', 'a')",
                               "outbox_payload_set");
    expect_refused_in_any_mode("insert into outbox (\"key\") values ('a'), ('b')",
                               "outbox_payload_set");
}

/* ---- limits ---- */

/* The limit is in bytes: a character of four bytes counts four times. */
static void
expect_limit(const char *column, unsigned most)
{
    char sql[300];
    char words[100];
    (void)snprintf(sql, sizeof(sql),
                   "insert into outbox (payload, \"%s\") values ('', repeat('x', %u)), "
                   "('', repeat('\xf0\x9f\x98\x80', %u))",
                   column, most, most / 4); /* fits */
    db_exec(db, sql);
    (void)snprintf(words, sizeof(words), "outbox_%s_%u_bytes", column, most); /* fits */
    const unsigned lengths[] = {most + 1, most + 2, 2 * most, 70000};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        (void)snprintf(sql, sizeof(sql),
                       "insert into outbox (payload, \"%s\") values ('refused', repeat('x', %u))",
                       column, lengths[i]); /* fits */
        expect_refused_in_any_mode(sql, words);
    }
    (void)snprintf(sql, sizeof(sql),
                   "insert into outbox (payload, \"%s\") values ('refused', repeat('\xc3\xbc', "
                   "%u))",
                   column, most / 2 + 1); /* fits */
    expect_refused_in_any_mode(sql, words);
}

Test(writing, what_could_never_be_sent_is_refused)
{
    expect_limit("exchange", 255);
    expect_limit("routing_key", 255);
    expect_limit("type", 255);
    expect_limit("content_type", 255);
    expect_limit("key", 1024);
}

#define HEADERS(length)                                                    \
    "insert into outbox (payload, headers) values ('refused', as_headers(" \
    "concat('{\"a\": \"', repeat('x', 131072 - 9" length "), '\"}')))"

Test(writing, headers_are_at_most_128_kib_of_text)
{
    expect_refused_in_any_mode(HEADERS("+ 1"), "outbox_headers_128_kib");
    db_exec(db, HEADERS(""));
    db_exec(db, "insert into outbox (payload, headers) values ('', '{}'), ('', null), "
                "('', ' {\"a\": [1, \"\xc3\xbc\"]}')");
    cr_assert_eq(db_int(db, "select count(*) from outbox"), 4);
}

/* ---- what a key is ---- */

Test(writing, keys_are_compared_byte_by_byte)
{
    db_exec(db, "insert into outbox (payload, \"key\") values ('', 'a'), ('', 'A'), ('', 'a '), "
                "('', 'a  '), ('', '\xc3\xa4'), ('', 'a\xcc\x88'), ('', ''), ('', ' '), "
                "('', 'ss'), ('', '\xc3\x9f')");
    cr_assert_eq(db_int(db, "select count(distinct \"key\") from outbox"), 10);
    cr_assert_eq(db_int(db, "select count(*) from outbox where \"key\" = 'a'"), 1);
    cr_assert_eq(db_int(db, "select count(*) from (select 1 from outbox group by \"key\") "
                            "as grouped_by_key"),
                 10);
    cr_assert_str_eq(db_text(db, "select group_concat(hex(bytes(\"key\")) order by id) "
                                 "from outbox"),
                     "61,41,6120,612020,C3A4,61CC88,,20,7373,C39F");
}

/* ---- ids and times ---- */

Test(writing, an_id_and_a_time_are_made_where_none_is_given)
{
    db_change_zone(db);
    db_exec(db, "insert into outbox (payload) values ('0')");
    for (int i = 0; i < 10; i++) { /* 1024 rows */
        db_exec(db, "insert into outbox (payload) select 'more' from outbox");
    }
    cr_assert_eq(db_int(db, "select count(distinct message_id) from outbox"), 1024);
    cr_assert_eq(db_int(db, "select count(*) from outbox where created_at not between "
                            "from_now(-3600) and from_now(0)"),
                 0);
}

static void
expect_no_id(const char *id)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "insert into outbox (payload, message_id) values ('refused', %s)",
                   id); /* fits */
    expect_refused_in_any_mode(sql, write_fixture_words(WRITE_WORDS_NO_ID).words);
}

Test(writing, an_id_may_be_a_uuid_as_text)
{
    db_exec(db, "insert into outbox (payload, message_id) values "
                "('', '0190163d-8694-739b-aea5-966c26f8ad92'), "
                "('', '0190163D-8694-739B-AEA5-966C26F8AD93')");
    cr_assert_str_eq(
        db_text(db, "select group_concat(id_text(message_id) order by id) from outbox"),
        "0190163d-8694-739b-aea5-966c26f8ad92,0190163d-8694-739b-aea5-966c26f8ad93");
    expect_no_id("'0190163d-8694-739b-aea5-966c26f8ad9x'");
    expect_no_id("'0190163d-8694-739b-aea5-966c26f8ad91 and more'");
    expect_no_id("'4711'");
    expect_refused_in_any_mode("insert into outbox (payload, message_id) values ('refused', null)",
                               "message_id");
    expect_refused_in_any_mode("insert into outbox (payload, message_id) values ('refused', "
                               "'0190163d-8694-739b-aea5-966c26f8ad91'), ('refused', null)",
                               "message_id");
}

Test(writing, a_time_that_is_none_is_refused)
{
    db_exec(db, "insert into outbox (payload, deliver_after) values ('', from_now(259200))");
    cr_assert_eq(db_int(db, "select count(*) from outbox where epoch_us(deliver_after) - "
                            "epoch_us(created_at) between 259000000000 and 259400000000"),
                 1);
    expect_refused_in_any_mode(
        "insert into outbox (payload, deliver_after) values ('refused', 'soon')",
        write_fixture_words(WRITE_WORDS_NO_TIME).words);
}

/* ---- rights ---- */

/* Like ORMs: all columns are named, and returned if the server can do that. */
Test(writing, the_view_takes_inserts_and_shows_nothing)
{
    db_exec(db, "insert into outbox (payload_text) values ('somebody else''s')");
    db_allow(db, "insert, select", "outbox_new");
    struct db *user = db_connect_allowed();
    db_exec(user, write_fixture_sql(WRITE_SQL_LAX)); /* where id 0 is the next one, as usual */
    db_exec(user, "insert into outbox_new (id, message_id, \"key\", payload, payload_text, "
                  "created_at, deliver_after) values (default, default, 'k', null, '{\"a\": 1}', "
                  "default, null)");
    if (write_fixture_returns(user)) {
        cr_assert_str_eq(
            db_text(user, "insert into outbox_new (payload_text) values ('x') returning concat("
                          "id, ' ', hex(payload), ' ', case when message_id is null or "
                          "created_at is null or routing_key is null then 'lacks' else 'has' end)"),
            "3 78 has");
        db_exec(user, "insert into outbox_new (payload_text) values ('y') returning *");
    }
    cr_assert_eq(db_int(user, "select count(*) from outbox_new"), 0);
    expect_refused_by(user, "select payload from outbox", "denied");
    expect_refused_by(user, "delete from outbox_new", "denied");
    expect_refused_by(user, "insert into outbox_new (\"key\") values ('k')", "has no body");
    expect_body("id = 2", "7B2261223A20317D");
    db_close(user);
}

Test(writing, insert_is_the_only_right_needed)
{
    db_allow(db, "insert", "outbox");
    struct db *user = db_connect_allowed();
    db_exec(user, "insert into outbox (routing_key, payload_text) values ('r', '{}')");
    expect_refused_by(user, "select payload from outbox", "denied");
    expect_refused_by(user, "delete from outbox", "denied");
    cr_assert_eq(db_int(db, "select count(*) from outbox where routing_key = 'r'"), 1);
    db_close(user);
}

/* ---- the tables ---- */

Test(writing_by_hand, the_files_can_be_run_by_hand)
{
    write_fixture_make_by_hand();
    db_exec(db, "insert into outbox (payload_text) values ('x')");
    cr_assert_eq(db_int(db, "select count(*) from outbox_relay_schema"), 1);
    cr_assert_eq(db_int(db, "select version from outbox_schema"), 1);
    cr_assert_eq(db_int(db, "select count(*) from outbox_new"), 0);
    cr_assert_eq(db_int(db, "select count(*) from outbox_held"), 0);
}

#define COLUMNS                                                                              \
    "id, message_id, exchange, routing_key, \"key\", type, content_type, headers, payload, " \
    "created_at, deliver_after"

/* Like a relay: a message that was set aside and goes back is the same as before, in the same place. */
Test(writing, a_message_survives_that_it_is_set_aside)
{
    char back[300];
    db_exec(db, "insert into outbox (exchange, routing_key, \"key\", type, content_type, headers, "
                "payload, deliver_after) values ('e ', 'r', repeat('k', 1024), 't', 'c', "
                "'{\"a\": 1}', unhex('00FF5C20'), as_time('2030-01-01 00:00:00.123456')), "
                "(null, '', null, null, null, null, '', null)");
    db_exec(db, "create table before_it as select " COLUMNS " from outbox");
    db_exec(db, "insert into outbox_held (" COLUMNS ", state) select " COLUMNS
                ", 'retrying' from outbox");
    db_exec(db, "delete from outbox");
    db_exec(db, "insert into outbox (payload) values ('new')");
    (void)snprintf(back, sizeof(back),
                   "insert into outbox (" COLUMNS ") %s select " COLUMNS " from outbox_held",
                   db_own_ids()); /* fits */
    db_exec(db, back);
    cr_assert_eq(db_int(db, "select count(*) from (select " COLUMNS " from outbox union "
                            "select " COLUMNS " from before_it) as both_tables"),
                 3, "the new one, and each of the others once");
}

#define HELD(state)                                                                              \
    "insert into outbox_held (id, message_id, routing_key, payload, created_at, state) values (" \
    "9, new_id(), '', '', from_now(0), " state ")"

Test(writing, what_a_relay_could_not_read_is_not_written)
{
    expect_refused_in_any_mode(HELD("'lost'"), "outbox_held_state");
    expect_refused_in_any_mode(HELD("'waiting'"), write_fixture_words(WRITE_WORDS_NO_KEY).words);
    db_exec(db, "insert into outbox_held_act (who, what, message_id, held_id, \"key\", state) "
                "values ('me@here', 'retry', new_id(), 7, 'k', 'dead')");
    expect_refused_in_any_mode("insert into outbox_held_act (who, what, message_id, held_id, "
                               "state) values ('me@here', 'forget', new_id(), 7, 'dead')",
                               "outbox_held_act_what");
}

/* ---- cancelling ---- */

#define FIRST_ID "0190163d-8694-739b-aea5-966c26f8ad91"
#define SECOND_ID "0190163d-8694-739b-aea5-966c26f8ad92"
#define UNKNOWN_ID "0190163d-8694-739b-aea5-966c26f8ad99"
#define SCHEDULED(seconds)                                                                     \
    "insert into outbox (payload, message_id, deliver_after) values ('', as_id('" FIRST_ID "'" \
    "), from_now(" seconds "))"
/* The statement by which a relay sets a message aside. */
#define SET_ASIDE                                                                                \
    "insert into outbox_held (id, message_id, routing_key, payload, created_at, deliver_after, " \
    "state) select id, message_id, routing_key, payload, created_at, deliver_after, "            \
    "'scheduled' from outbox"

Test(writing, what_is_due_or_never_was_scheduled_is_not_cancelled)
{
    db_exec(db, SCHEDULED("-1"));
    cr_assert_not(db_cancel(db, FIRST_ID), "it is due");
    cr_assert_not(db_cancel(db, UNKNOWN_ID));
    db_exec(db, SET_ASIDE);
    db_exec(db, "update outbox_held set state = 'dead'");
    db_exec(db, "update outbox set deliver_after = null");
    cr_assert_not(db_cancel(db, FIRST_ID));
    cr_assert_eq(db_int(db, "select (select count(*) from outbox) + "
                            "(select count(*) from outbox_held)"),
                 2);
}

static struct db *canceller;

static void *
cancel_first(void *cancelled)
{
    *(bool *)cancelled = db_cancel(canceller, FIRST_ID);
    return NULL;
}

/* Promise: a relay that moves it from one table to the other meanwhile cannot hide it. */
Test(writing, a_message_is_cancelled_while_a_relay_moves_it)
{
    pthread_t thread;
    bool cancelled = false;
    canceller = db_connect();
    const int64_t session = db_session(canceller);
    db_exec(db, SCHEDULED("86400"));
    struct db *relay = db_connect();
    db_exec(relay, "begin");
    db_exec(relay, SET_ASIDE);
    db_exec(relay, "delete from outbox");
    cr_assert_eq(pthread_create(&thread, NULL, cancel_first, &cancelled), 0);
    db_wait_blocked(db, session);
    db_exec(relay, "commit");
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert(cancelled);
    cr_assert_eq(db_int(db, "select count(*) from outbox_held"), 0);
    db_close(relay);
    db_close(canceller);
}

#define HOLD(id, message_id, state)                                                      \
    "insert into outbox_held (id, message_id, routing_key, payload, created_at, state) " \
    "values (" id ", as_id('" message_id "'), '', '', from_now(0), '" state "')"

/* Promise: also with the server's default isolation, cancelling blocks no writer. */
Test(writing, who_cancels_keeps_nobody_from_writing)
{
    struct db *writer = db_connect();
    db_exec(db, SCHEDULED("86400"));
    db_exec(db, "insert into outbox (payload) values ('other')");
    db_exec(db, HOLD("3", SECOND_ID, "scheduled"));
    db_exec(db, "begin");
    cr_assert(db_cancel(db, FIRST_ID));
    cr_assert(db_cancel(db, SECOND_ID));
    cr_assert_not(db_cancel(db, UNKNOWN_ID));
    db_limit_waits(writer);
    db_exec(writer, "insert into outbox (payload) values ('new')");
    db_exec(writer, "delete from outbox where id = 2");
    db_exec(writer, HOLD("7", UNKNOWN_ID, "dead"));
    db_exec(db, "commit");
    db_close(writer);
}

Test(writing, who_cancels_needs_no_right_on_the_tables)
{
    db_exec(db, SCHEDULED("86400"));
    db_allow_cancel(db);
    struct db *user = db_connect_allowed();
    expect_refused_by(user, "delete from outbox", "denied");
    cr_assert(db_cancel(user, FIRST_ID));
    cr_assert_eq(db_int(db, "select count(*) from outbox"), 0);
    db_close(user);
}
