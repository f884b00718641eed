/* What operators see and do in a MariaDB or MySQL database: the answers that tests/integration/test_cli_*.c expect of either
 * kind of database, and what is these servers' own. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "relay/mysql/admin.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/outbox_mysql_fixture.h"

#define FIRST_UUID "00000000-0000-7000-8000-00000000000"

static MYSQL *db;
static char dsn[400];
static struct source_config source = {.name = (char[]){"orders"}, .dsn = dsn};
static struct error error;

static void
create(void)
{
    db = mysql_fixture_create();
    outbox_mysql_fixture_load(db);
    outbox_mysql_fixture_load_relay(db);
    mysql_fixture_exec(db, "set time_zone = '+05:00'"); /* times are UTC for all that */
    (void)snprintf(dsn, sizeof(dsn), "%s dbname=%s", getenv("OUTBOX_TEST_MYSQL_DSN"),
                   mysql_fixture_database()); /* fits */
}

static void
drop(void)
{
    mysql_fixture_drop(db);
}

TestSuite(admin_mysql, .init = create, .fini = drop, .timeout = 120);

static struct admin *
opened(void)
{
    struct admin *const admin = my_admin_open(&source, &error);
    cr_assert_not_null(admin, "%s", error.text);
    return admin;
}

static void __attribute__((format(printf, 1, 2))) exec(const char *format, ...)
{
    char sql[1000];
    va_list arguments;
    va_start(arguments, format);
    cr_assert_lt(vsnprintf(sql, sizeof(sql), format, arguments), (int)sizeof(sql));
    va_end(arguments);
    mysql_fixture_exec(db, sql);
}

/* A held message with the id and, at its end, the message id; `key` and `more` as SQL. */
static void
hold(int id, const char *state, const char *key, const char *more)
{
    exec("insert into outbox_held (id, message_id, routing_key, `key`, payload, created_at, state, "
         "skipped, attempts, "
         "last_error, next_attempt_at, deliver_after, type, held_at) select %d, "
         "unhex(replace('" FIRST_UUID
         "%d', '-', '')), 'rk', %s, 'body', utc_timestamp(6), '%s', %s",
         id, id % 10, key, state, more);
}

#define PLAIN "false, 3, 'no such queue', null, null, 'paid', utc_timestamp(6)"
#define SKIPPED "true, 3, 'no such queue', null, null, 'paid', utc_timestamp(6)"

static void
expect_ids(struct admin *admin, struct admin_filter filter, const char *expected)
{
    char *ids;
    struct admin_counts counts;
    struct admin_messages messages;
    char listed[200] = "{";
    cr_assert(admin_held_count(admin, &filter, &counts, &ids, &error), "%s", error.text);
    cr_expect_str_eq(ids, expected);
    memory_free(ids);
    cr_assert(admin_held_list(admin, &filter, 100, false, &messages, &error), "%s", error.text);
    for (size_t i = 0; i < messages.count; i++) {
        const size_t length = strlen(listed);
        (void)snprintf(listed + length, sizeof(listed) - length, "%s%" PRId64, i == 0 ? "" : ",",
                       messages.messages[i].id); /* fits */
    }
    cr_expect_eq(strlen(listed), strlen(expected) - 1);
    cr_expect(strncmp(listed, expected, strlen(listed)) == 0, "%s", listed);
    cr_expect_eq(admin_counts_sum(&counts), messages.count);
    admin_messages_free(&messages);
}

/* A key is what it is, byte for byte. */
Test(admin_mysql, held_messages_are_chosen)
{
    hold(1, "dead", "'a'", PLAIN);
    hold(2, "waiting", "'a'", PLAIN);
    hold(3, "retrying", "'A'", "false, 3, 'too large', null, null, 'sent', utc_timestamp(6)");
    hold(4, "scheduled", "'a '",
         "false, 0, null, null, utc_timestamp(6) + interval 1 hour, null, utc_timestamp(6)");
    hold(5, "dead", "null",
         "false, 3, 'No such queue', null, null, 'paid', utc_timestamp(6) - interval 1 hour");
    struct admin *const admin = opened();
    const int64_t after = 3;
    expect_ids(admin, (struct admin_filter){0}, "{1,2,3,4,5}");
    expect_ids(admin, (struct admin_filter){.state = "dead"}, "{1,5}");
    expect_ids(admin, (struct admin_filter){.key = "a"}, "{1,2}");
    expect_ids(admin, (struct admin_filter){.key = "A"}, "{3}");
    expect_ids(admin, (struct admin_filter){.key = "a "}, "{4}");
    expect_ids(admin, (struct admin_filter){.type = "paid"}, "{1,2,5}");
    expect_ids(admin, (struct admin_filter){.reason = "such"}, "{1,2,5}");
    expect_ids(admin, (struct admin_filter){.reason = "no such"}, "{1,2}");
    expect_ids(admin, (struct admin_filter){.older_than_us = 60 * 1000000}, "{5}");
    expect_ids(admin, (struct admin_filter){.ids = "{2,3,9}"}, "{2,3}");
    expect_ids(admin, (struct admin_filter){.ids = "{}"}, "{}");
    expect_ids(admin, (struct admin_filter){.ids = "{2,3}", .state = "retrying"}, "{3}");
    struct admin_messages messages;
    cr_assert(admin_held_list(admin, &(struct admin_filter){.after = &after}, 1, false, &messages,
                              &error));
    cr_assert_eq(messages.count, 1);
    cr_assert_eq(messages.messages[0].id, 4);
    admin_messages_free(&messages);
    admin_close(admin);
}

Test(admin_mysql, a_message_is_shown_whole)
{
    exec("insert into outbox_held (id, message_id, exchange, routing_key, `key`, type, "
         "content_type, headers, payload, "
         "created_at, deliver_after, state, skipped, attempts, next_attempt_at, last_error, "
         "held_at) values (-7, "
         "unhex('0190A5C8111172228333444455556666'), 'ex', 'rk', 'k\\'ä\\n', 't', 'ct', '{\"b\": "
         "[1]}', unhex('00ff27'), "
         "'2026-01-02 03:04:05.000006', '1970-01-01', 'dead', true, 4, '2038-01-19 03:14:08', "
         "'why', "
         "'9999-12-31 23:59:59.999999')");
    struct admin *const admin = opened();
    struct admin_messages messages;
    cr_assert(admin_held_list(admin, &(struct admin_filter){0}, 0, true, &messages, &error), "%s",
              error.text);
    cr_assert_eq(messages.count, 1);
    const struct admin_message *const message = &messages.messages[0];
    cr_expect_eq(message->id, -7);
    cr_expect_str_eq(message->message_id, "0190a5c8-1111-7222-8333-444455556666");
    cr_expect_str_eq(message->state, "dead");
    cr_expect(message->skipped);
    cr_expect_eq(message->attempts, 4);
    cr_expect_str_eq(message->key, "k'ä\n");
    cr_expect_str_eq(message->type, "t");
    cr_expect_str_eq(message->exchange, "ex");
    cr_expect_str_eq(message->routing_key, "rk");
    cr_expect_str_eq(message->content_type, "ct");
    cr_expect_str_eq(message->last_error, "why");
    cr_expect_eq(message->payload_bytes, 3);
    cr_expect_arr_eq(message->payload, "\0\xff'", 3);
    cr_expect_not_null(strstr(message->headers, "\"b\""));
    cr_expect_eq(message->created_us, INT64_C(1767323045000006));
    cr_expect_eq(message->deliver_after_us, 0);
    cr_expect_eq(message->next_attempt_us, INT64_C(2147483648000000));
    cr_expect_eq(message->held_us, INT64_C(253402300799999999));
    cr_expect_not(message->escaped);
    admin_messages_free(&messages);
    admin_close(admin);
}

Test(admin_mysql, a_message_is_found_by_either_id)
{
    hold(5, "dead", "null", PLAIN);
    hold(15, "dead", "null", PLAIN); /* an application gave one message id twice */
    struct admin *const admin = opened();
    static const struct {
        const char *name;
        uint64_t count;
        const char *ids;
    } cases[] = {{"15", 1, "{15}"}, {FIRST_UUID "5", 2, "{5,15}"}, {"6", 0, "{}"}};
    for (size_t i = 0; i < 3; i++) {
        struct admin_name name;
        uint64_t count;
        char *ids;
        cr_assert(admin_name_parse(cases[i].name, &name));
        cr_assert(admin_held_find(admin, &name, &count, &ids, &error), "%s", error.text);
        cr_expect_eq(count, cases[i].count);
        cr_expect_str_eq(ids, cases[i].ids);
        memory_free(ids);
    }
    admin_close(admin);
}

/* A skipped message keeps nobody back. */
Test(admin_mysql, where_a_message_stands_in_its_key)
{
    hold(1, "dead", "'a'", SKIPPED);
    hold(2, "dead", "'a'", PLAIN);
    hold(3, "waiting", "'a'", PLAIN);
    hold(4, "waiting", "'a'", PLAIN);
    hold(5, "waiting", "'b'", PLAIN);
    hold(6, "retrying", "'c'", PLAIN);
    hold(7, "waiting", "'c'", PLAIN);
    struct admin *const admin = opened();
    struct admin_place place;
    struct admin_heads heads;
    cr_assert(admin_held_place(admin, "a", 4, &place, &error), "%s", error.text);
    cr_expect_eq(place.waiting, 2);
    cr_expect_eq(place.before, 1);
    cr_assert_eq(place.head.count, 1);
    cr_expect_eq(place.head.messages[0].id, 2);
    admin_place_free(&place);
    cr_assert(admin_held_place(admin, "b", 5, &place, &error), "%s", error.text);
    cr_expect_eq(place.waiting, 1);
    cr_expect_eq(place.head.count, 0);
    admin_place_free(&place);
    cr_assert(admin_held_heads_of(admin, "{1,2,3,4,5,6,7}", &heads, &error), "%s", error.text);
    cr_assert_eq(heads.count, 3);
    cr_expect_eq(heads.heads[0].id, 2);
    cr_expect_str_eq(heads.heads[0].message_id, FIRST_UUID "2");
    cr_expect_str_eq(heads.heads[0].state, "dead");
    cr_expect_eq(heads.heads[0].waiting, 2);
    cr_expect_eq(heads.heads[1].id, 6);
    cr_expect_eq(heads.heads[1].waiting, 1);
    cr_expect_null(heads.heads[2].message_id);
    cr_expect_eq(heads.heads[2].waiting, 1);
    admin_heads_free(&heads);
    admin_close(admin);
}

static void
expect_done(const struct admin_done *done, uint64_t scheduled, uint64_t retrying, uint64_t waiting,
            uint64_t dead, uint64_t freed)
{
    cr_expect_eq(done->counts.scheduled, scheduled);
    cr_expect_eq(done->counts.retrying, retrying);
    cr_expect_eq(done->counts.waiting, waiting);
    cr_expect_eq(done->counts.dead, dead);
    cr_expect_eq(done->freed, freed);
}

Test(admin_mysql, retried_messages_are_due)
{
    hold(1, "dead", "'a'", PLAIN);
    hold(2, "waiting", "'a'", PLAIN);
    hold(3, "retrying", "'b'",
         "false, 3, 'x', utc_timestamp(6) + interval 1 hour, null, null, utc_timestamp(6)");
    hold(4, "scheduled", "'c'",
         "false, 0, null, null, utc_timestamp(6) + interval 1 hour, null, utc_timestamp(6)");
    hold(5, "dead", "'d'", SKIPPED);
    hold(6, "dead", "'e'", PLAIN);
    struct admin *const admin = opened();
    struct admin_done done;
    struct admin_acts acts;
    struct admin_name name;
    cr_assert(admin_held_retry(admin, &(struct admin_filter){.ids = "{1,2,3,4,5,9}"}, "me@here",
                               &done, &error),
              "%s", error.text);
    expect_done(&done, 1, 1, 0, 2, 0);
    cr_expect_eq(
        mysql_fixture_int(
            db, "select count(*) from outbox_held where state = 'retrying' and attempts = 0 and "
                "next_attempt_at <= utc_timestamp(6) and id in (1, 5)"),
        2);
    cr_expect_eq(mysql_fixture_int(db, "select skipped from outbox_held where id = 5"), 1);
    cr_expect_eq(mysql_fixture_int(db, "select attempts from outbox_held where id = 3 and "
                                       "next_attempt_at <= utc_timestamp(6)"),
                 3);
    cr_expect_eq(mysql_fixture_int(db, "select count(*) from outbox_held where id = 4 and state = "
                                       "'scheduled' and deliver_after <= utc_timestamp(6)"),
                 1);
    cr_expect_eq(mysql_fixture_int(
                     db, "select count(*) from outbox_held where id = 2 and state = 'waiting'"),
                 1);
    cr_expect_eq(
        mysql_fixture_int(db, "select count(*) from outbox_held where id = 6 and state = 'dead'"),
        1);
    cr_expect_eq(
        mysql_fixture_int(db, "select count(*) from outbox_held_act where seen_at is null"), 4);
    cr_assert(admin_name_parse(FIRST_UUID "1", &name));
    cr_assert(admin_held_acts(admin, &name, &acts, &error), "%s", error.text);
    cr_assert_eq(acts.count, 1);
    cr_expect(strncmp(acts.acts[0].who, "me@here, database account outbox@", 33) == 0, "%s",
              acts.acts[0].who);
    cr_expect_str_eq(acts.acts[0].what, "retry");
    cr_expect_str_eq(acts.acts[0].state, "dead");
    cr_expect_eq(acts.acts[0].held_id, 1);
    cr_expect_str_eq(acts.acts[0].message_id, FIRST_UUID "1");
    cr_expect_not(acts.acts[0].seen);
    admin_acts_free(&acts);
    admin_close(admin);
}

Test(admin_mysql, discarded_messages_are_gone_and_free_their_keys)
{
    hold(1, "dead", "'a'", PLAIN);
    hold(2, "waiting", "'a'", PLAIN);
    hold(3, "dead", "'b'", PLAIN);
    hold(4, "waiting", "'b'", PLAIN);
    hold(5, "dead", "'c'", SKIPPED);
    hold(6, "waiting", "'c'", PLAIN);
    hold(7, "retrying", "null", PLAIN);
    hold(9, "waiting", "'a'", PLAIN);
    hold(8, "retrying", "'d'", "false, 3, 'other', null, null, 'paid', utc_timestamp(6)");
    struct admin *const admin = opened();
    struct admin_done done;
    const struct admin_filter filter = {.ids = "{1,3,4,5,7,8}", .reason = "no such"};
    cr_assert(admin_held_discard(admin, &filter, "me@here", &done, &error), "%s", error.text);
    expect_done(&done, 0, 1, 1, 3, 1);
    cr_expect_str_eq(mysql_fixture_text(db, "select group_concat(id order by id) from outbox_held"),
                     "2,6,8,9");
    cr_expect_str_eq(
        mysql_fixture_text(
            db,
            "select group_concat(held_id order by id) from outbox_held_act where what = 'discard'"),
        "1,3,4,5,7");
    admin_close(admin);
}

/* More than one statement takes, in one transaction: what cannot be done to one is done to none. */
Test(admin_mysql, an_act_upon_many_is_all_or_nothing)
{
    exec("set sql_mode = ''");
    exec("insert into outbox_held (id, message_id, routing_key, `key`, payload, created_at, state) "
         "values "
         "(0, repeat('x', 16), '', 'k0', '', utc_timestamp(6), 'dead')");
    for (int rows = 1; rows < 32768; rows *= 2) {
        exec("insert into outbox_held (id, message_id, routing_key, `key`, payload, created_at, "
             "state) select id + %d, "
             "repeat('x', 16), '', concat('k', (id + %d) div 2), '', utc_timestamp(6), case (id + "
             "%d) %% 2 when 0 then 'dead' else 'waiting' end "
             "from outbox_held",
             rows, rows, rows);
    }
    exec("create trigger stubborn before delete on outbox_held for each row begin if old.id = "
         "25000 and @stubborn is null then "
         "signal sqlstate '45000' set message_text = 'it stays'; end if; end");
    struct admin *const admin = opened();
    struct admin_counts counts;
    struct admin_done done;
    struct admin_heads heads;
    char *ids;
    const struct admin_filter dead = {.state = "dead"};
    cr_assert(admin_held_count(admin, &(struct admin_filter){0}, &counts, &ids, &error), "%s",
              error.text);
    cr_assert_eq(counts.dead, 16384);
    cr_assert(admin_held_heads_of(admin, ids, &heads, &error), "%s", error.text);
    cr_assert_eq(heads.count, 16384);
    for (size_t i = 0; i < heads.count; i++) {
        cr_assert_eq(heads.heads[i].id, 2 * (int64_t)i);
        cr_assert_eq(heads.heads[i].waiting, 1);
    }
    admin_heads_free(&heads);
    memory_free(ids);
    cr_assert(admin_held_count(admin, &dead, &counts, &ids, &error), "%s", error.text);
    const struct admin_filter filter = {.ids = ids, .state = "dead"};
    cr_assert_not(admin_held_discard(admin, &filter, "me", &done, &error));
    cr_assert_not_null(strstr(error.text, "it stays"), "%s", error.text);
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from outbox_held"), 32768);
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from outbox_held_act"), 0);
    exec("drop trigger stubborn");
    cr_assert(admin_held_discard(admin, &filter, "me", &done, &error), "%s", error.text);
    expect_done(&done, 0, 0, 0, 16384, 16384);
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from outbox_held where state = 'waiting'"),
                 16384);
    cr_assert_eq(mysql_fixture_int(db, "select count(*) from outbox_held_act"), 16384);
    memory_free(ids);
    admin_close(admin);
}

/* What waits behind one message is counted once, wherever its ids are cut into parts. */
Test(admin_mysql, a_crowd_behind_one_message)
{
    exec("insert into outbox_held (id, message_id, routing_key, `key`, payload, created_at, state) "
         "values "
         "(1, repeat('x', 16), '', 'k', '', utc_timestamp(6), 'waiting')");
    for (int rows = 1; rows < 16384; rows *= 2) {
        exec("insert into outbox_held (id, message_id, routing_key, `key`, payload, created_at, "
             "state) select id + %d, "
             "repeat('x', 16), '', 'k', '', utc_timestamp(6), 'waiting' from outbox_held",
             rows);
    }
    hold(0, "dead", "'k'", PLAIN);
    struct admin *const admin = opened();
    struct admin_counts counts;
    struct admin_heads heads;
    char *ids;
    cr_assert(admin_held_count(admin, &(struct admin_filter){0}, &counts, &ids, &error), "%s",
              error.text);
    cr_assert(admin_held_heads_of(admin, ids, &heads, &error), "%s", error.text);
    cr_assert_eq(heads.count, 1);
    cr_assert_eq(heads.heads[0].waiting, 16384);
    admin_heads_free(&heads);
    memory_free(ids);
    admin_close(admin);
}

static struct admin_findings
explained(struct admin *admin, const char *text)
{
    struct admin_name name;
    struct admin_findings findings;
    cr_assert(admin_name_parse(text, &name));
    cr_assert(admin_explain(admin, &name, &findings, &error), "%s", error.text);
    return findings;
}

/* The only writer that has a session; NULL: none. Others may have prepared transactions in this server. */
static const struct admin_writer *
session_of(const struct admin_findings *findings)
{
    const struct admin_writer *session = NULL;
    for (size_t i = 0; i < findings->writer_count; i++) {
        if (findings->writers[i].gid == NULL) {
            cr_assert_null(session);
            session = &findings->writers[i];
        }
    }
    return session;
}

Test(admin_mysql, a_message_is_explained_wherever_it_is)
{
    exec("insert into outbox (id, message_id, `key`, type, payload, deliver_after) values "
         "(10, '" FIRST_UUID "1', 'k', 't', 'x', null), (11, '" FIRST_UUID
         "2', null, null, 'x', utc_timestamp(6) + interval 1 day)");
    hold(3, "dead", "'k'", PLAIN);
    exec("insert into outbox_sent (message_id, id, sent_at) values (unhex(replace('" FIRST_UUID
         "4', '-', '')), 4, '2026-01-02 03:04:05'), "
         "(unhex(replace('" FIRST_UUID "4', '-', '')), 4, '2026-01-02 03:04:06.5')");
    struct admin *const admin = opened();
    struct admin_findings findings = explained(admin, FIRST_UUID "1");
    cr_assert_eq(findings.pending_count, 1);
    cr_expect_eq(findings.pending[0].id, 10);
    cr_expect_str_eq(findings.pending[0].key, "k");
    cr_expect_str_eq(findings.pending[0].type, "t");
    cr_expect_eq(findings.pending[0].before, 0);
    cr_expect_not(findings.pending[0].scheduled);
    cr_expect_eq(findings.pending[0].deliver_after_us, ADMIN_NO_TIME);
    cr_expect_eq(findings.sent_us, ADMIN_NO_TIME);
    cr_expect_null(session_of(&findings));
    cr_expect_null(findings.writers_unknown);
    admin_findings_free(&findings);
    findings = explained(admin, "11");
    cr_assert_eq(findings.pending_count, 1);
    cr_expect_str_eq(findings.pending[0].message_id, FIRST_UUID "2");
    cr_expect(findings.pending[0].scheduled);
    cr_expect_eq(findings.pending[0].before, 1);
    admin_findings_free(&findings);
    findings = explained(admin, "3");
    cr_assert_eq(findings.held.count, 1);
    cr_expect_str_eq(findings.held.messages[0].state, "dead");
    admin_findings_free(&findings);
    findings = explained(admin, FIRST_UUID "4");
    cr_expect_eq(findings.sent_us, INT64_C(1767323046500000));
    cr_expect_eq(findings.sent_id, 4);
    cr_expect_str_eq(findings.sent_message_id, FIRST_UUID "4");
    admin_findings_free(&findings);
    admin_close(admin);
}

/* Readers are no writers, nor is who writes to other tables, or the owner of the outbox. A prepared transaction may have written
 * anywhere. */
Test(admin_mysql, who_may_still_commit_is_told)
{
    MYSQL *const writer = mysql_fixture_connect();
    MYSQL *const reader = mysql_fixture_connect();
    MYSQL *const owner = mysql_fixture_connect();
    char lock[MY_LOCK_BYTES];
    char sql[200];
    my_lock_name(mysql_fixture_database(), lock);
    (void)snprintf(sql, sizeof(sql), "do get_lock('%s', 0)", lock); /* fits */
    mysql_fixture_exec(owner, sql);
    mysql_fixture_exec(owner, "set session transaction isolation level read committed");
    mysql_fixture_exec(owner, "start transaction");
    mysql_fixture_exec(owner, "delete from outbox where id = 5");
    mysql_fixture_exec(reader, "start transaction");
    mysql_fixture_exec(reader,
                       "insert into outbox_sent (message_id, id) values (repeat('x', 16), 1)");
    (void)mysql_fixture_int(reader, "select count(*) from outbox");
    mysql_fixture_exec(writer, "start transaction");
    mysql_fixture_exec(writer, "insert into outbox (payload) values ('x')");
    const int64_t now_us =
        mysql_fixture_int(db, "select timestampdiff(microsecond, '1970-01-01', utc_timestamp(6))");
    struct admin *const admin = opened();
    struct admin_findings findings = explained(admin, "1");
    char id[30];
    (void)snprintf(id, sizeof(id), "%lu", mysql_thread_id(writer)); /* fits */
    const struct admin_writer *const told = session_of(&findings);
    cr_assert_not_null(told);
    cr_expect_str_eq(told->pid, id);
    cr_expect_str_eq(told->role, "outbox");
    cr_expect_gt(told->since_us, now_us - INT64_C(60000000));
    cr_expect_leq(told->since_us, now_us);
    admin_findings_free(&findings);
    admin_close(admin);
    mysql_close(writer);
    mysql_close(reader);
    mysql_close(owner);
}

/* MySQL shows the locks of others to whom it was granted, MariaDB shows when a transaction began. */
Test(admin_mysql, what_the_account_may_not_see_is_not_told)
{
    static const char *const tables[] = {"outbox",       "outbox_held", "outbox_held_act",
                                         "outbox_relay", "outbox_sent", "outbox_relay_schema"};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        mysql_fixture_grant(db, "select", tables[i]);
    }
    (void)snprintf(dsn, sizeof(dsn), "host=127.0.0.1 port=%s user=%s password=secret dbname=%s",
                   getenv("OUTBOX_TEST_MYSQL_PORT"), mysql_fixture_database(),
                   mysql_fixture_database()); /* fits */
    exec("start transaction");
    exec("insert into outbox (payload) values ('x')");
    struct admin *const admin = opened();
    struct admin_findings findings = explained(admin, "1");
    const struct admin_writer *const told = session_of(&findings);
    if (mysql_fixture_is_mariadb(db)) {
        cr_assert_not_null(told);
        cr_expect_null(told->role);
        cr_expect_eq(told->since_us, ADMIN_NO_TIME);
    } else {
        cr_expect_null(told);
        cr_assert_not_null(findings.writers_unknown);
        cr_expect_not_null(strstr(findings.writers_unknown, "performance_schema"));
    }
    admin_findings_free(&findings);
    admin_close(admin);
    exec("rollback");
}

Test(admin_mysql, a_prepared_transaction_is_told_by_its_name)
{
    char xid[100];
    char sql[200];
    MYSQL *const writer = mysql_fixture_connect();
    (void)snprintf(xid, sizeof(xid), "'%s',X'0a',7", mysql_fixture_database()); /* fits */
    (void)snprintf(sql, sizeof(sql), "xa start %s", xid);                       /* fits */
    mysql_fixture_exec(writer, sql);
    mysql_fixture_exec(writer, "insert into outbox (payload) values ('x')");
    (void)snprintf(sql, sizeof(sql), "xa end %s", xid); /* fits */
    mysql_fixture_exec(writer, sql);
    (void)snprintf(sql, sizeof(sql), "xa prepare %s", xid); /* fits */
    mysql_fixture_exec(writer, sql);
    (void)snprintf(sql, sizeof(sql),
                   "select count(*) from information_schema.processlist where id = %lu",
                   mysql_thread_id(writer)); /* fits */
    mysql_close(writer);
    while (mysql_fixture_int(db, sql) != 0) {
        exec("do sleep(0.01)");
    }
    struct admin *const admin = opened();
    struct admin_findings findings = explained(admin, "1");
    bool found = false;
    for (size_t i = 0; i < findings.writer_count; i++) {
        found |=
            findings.writers[i].gid != NULL && strstr(findings.writers[i].gid, "X'0a',7") != NULL;
    }
    cr_expect(found);
    admin_findings_free(&findings);
    admin_close(admin);
    exec("xa rollback %s", xid);
}

static void
lock_as_relay(MYSQL *session, bool own)
{
    char name[MY_LOCK_BYTES];
    char sql[200];
    my_mark_name(mysql_fixture_database(), name);
    (void)snprintf(sql, sizeof(sql), "do get_lock(concat('%s', connection_id()), 0)",
                   name); /* fits */
    mysql_fixture_exec(session, sql);
    my_lock_name(mysql_fixture_database(), name);
    (void)snprintf(sql, sizeof(sql), "do get_lock('%s', 0)", name); /* fits */
    if (own) {
        mysql_fixture_exec(session, sql);
    }
}

static struct admin_status
status_of(struct admin *admin)
{
    struct admin_status status;
    cr_assert(admin_status_get(admin, &status, &error), "%s", error.text);
    return status;
}

/* Who works the outbox, and who stands by. */
Test(admin_mysql, sessions_of_relays_are_seen)
{
    MYSQL *const owner = mysql_fixture_connect();
    MYSQL *const standby = mysql_fixture_connect();
    struct admin *const admin = opened();
    struct admin_status status = status_of(admin);
    cr_expect_eq(status.sessions.count, 0);
    cr_expect_null(admin_status_owner(&status));
    cr_expect_null(status.keeper.what);
    admin_status_free(&status);
    lock_as_relay(standby, false);
    lock_as_relay(owner, true);
    status = status_of(admin);
    cr_assert_eq(status.sessions.count, 2);
    cr_assert_not_null(admin_status_owner(&status));
    cr_expect_eq(status.sessions.sessions[0].pid, (int64_t)mysql_thread_id(owner));
    cr_expect_str_eq(status.sessions.sessions[0].host, "127.0.0.1");
    cr_expect_eq(status.sessions.sessions[1].pid, (int64_t)mysql_thread_id(standby));
    cr_expect_not(status.sessions.sessions[1].owns);
    cr_expect_not(admin_status_is_owners(&status)); /* it has told nothing yet */
    admin_status_free(&status);
    admin_close(admin);
    mysql_close(owner);
    mysql_close(standby);
}

static void
tell_as_relay(unsigned long session, const char *updated_at)
{
    exec("replace into outbox_relay (source, host, pid, session, version, started_at, owned_since, "
         "updated_at, in_flight, "
         "in_flight_since, read_up_to, confirmed, rate, paused_reason, paused_since, `reads`, "
         "swept) values ('orders', 'h', 7, %lu, "
         "'0.2', utc_timestamp(6), '2026-01-02 03:04:05', %s, 3, '2026-01-02 03:04:06', 12, 100, "
         "2.5, "
         "'why', '2026-01-02 03:04:07', 'poll', 1)",
         session, updated_at);
}

Test(admin_mysql, what_the_owner_told_is_told_as_his_alone)
{
    MYSQL *const owner = mysql_fixture_connect();
    struct admin *const admin = opened();
    tell_as_relay(mysql_thread_id(owner), "utc_timestamp(6)");
    struct admin_status status = status_of(admin);
    cr_expect(status.relay.known);
    cr_expect_not(admin_status_is_owners(&status));
    admin_status_free(&status);
    lock_as_relay(owner, true);
    status = status_of(admin);
    cr_expect(admin_status_is_owners(&status));
    cr_expect(admin_status_is_current(&status));
    cr_expect_str_eq(status.relay.host, "h");
    cr_expect_eq(status.relay.pid, 7);
    cr_expect_str_eq(status.relay.version, "0.2");
    cr_expect_eq(status.relay.in_flight, 3);
    cr_expect_eq(status.relay.in_flight_since_us, INT64_C(1767323046000000));
    cr_expect_eq(status.relay.read_up_to, 12);
    cr_expect_eq(status.relay.published_up_to, INT64_MIN);
    cr_expect_eq(status.relay.confirmed, 100);
    cr_expect_eq(status.relay.rate, 2.5);
    cr_expect_str_eq(status.relay.paused_reason, "why");
    cr_expect_eq(status.relay.paused_since_us, INT64_C(1767323047000000));
    cr_expect_eq(status.relay.owned_since_us, INT64_C(1767323045000000));
    cr_expect_str_eq(status.relay.reads, "poll");
    cr_expect_null(status.relay.reads_reason);
    cr_expect_eq(status.relay.swept, 1);
    admin_status_free(&status);
    tell_as_relay(mysql_thread_id(owner), "utc_timestamp(6) - interval 1 minute");
    status = status_of(admin);
    cr_expect(admin_status_is_owners(&status));
    cr_expect_not(admin_status_is_current(&status));
    admin_status_free(&status);
    tell_as_relay(mysql_thread_id(owner) + 1, "utc_timestamp(6)");
    status = status_of(admin);
    cr_expect_not(admin_status_is_owners(&status));
    admin_status_free(&status);
    admin_close(admin);
    mysql_close(owner);
}

Test(admin_mysql, what_is_to_be_done_is_counted)
{
    hold(1, "dead", "'a'", PLAIN);
    hold(2, "dead", "'b'", SKIPPED);
    hold(3, "waiting", "'a'", PLAIN);
    exec("insert into outbox (payload, created_at, deliver_after) values ('x', '2026-01-02 "
         "03:04:05', null), "
         "('x', '2026-01-02 03:04:04', '2026-01-02 03:04:09'), ('x', '2026-01-02', "
         "utc_timestamp(6) + interval 1 day)");
    struct admin *const admin = opened();
    struct admin_status status = status_of(admin);
    cr_expect_eq(status.pending, 3);
    cr_expect_eq(status.oldest_us, INT64_C(1767323045000000));
    cr_expect_eq(status.held.dead, 2);
    cr_expect_eq(status.held.waiting, 1);
    cr_expect_eq(status.held.retrying, 0);
    cr_expect_eq(status.held.scheduled, 0);
    admin_status_free(&status);
    exec("delete from outbox where id < 3"); /* what is left is not due */
    status = status_of(admin);
    cr_expect_eq(status.pending, 1);
    cr_expect_eq(status.oldest_us, ADMIN_NO_TIME);
    admin_status_free(&status);
    admin_close(admin);
}

static void
expect_refused(const char *words)
{
    cr_assert_null(my_admin_open(&source, &error));
    cr_expect_eq(error.class, ERROR_CONFIG);
    cr_expect_not_null(strstr(error.text, words), "%s", error.text);
}

Test(admin_mysql, other_tables_are_refused_in_words)
{
    exec("update outbox_relay_schema set version = 2");
    expect_refused("have version 2, this command needs version 1: use the outbox-relay that fits");
    exec("drop table outbox_sent");
    expect_refused("the tables for held messages and status are missing, or this account may not");
    exec("drop table outbox");
    expect_refused("there is no table outbox");
}
