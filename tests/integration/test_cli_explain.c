#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/held_fixture.h"
#include "tests/integration/servers_fixture.h"

static struct db *db;

static void
set_up(void)
{
    db = held_fixture_create();
}

static void
tear_down(void)
{
    held_fixture_drop(db);
}

TestSuite(cli_explain, .init = set_up, .fini = tear_down);

/* A session that owns the outbox, like a relay's. */
static struct db *
relay(void)
{
    struct db *const session = db_connect();
    db_be_relay(session);
    return session;
}

/* What the owner reports on itself. */
static void
tell(const char *changes)
{
    char sql[1000];
    (void)snprintf(sql, sizeof(sql),
                   "delete from outbox_relay; "
                   "insert into outbox_relay (source, host, pid, version, started_at, owned_since, "
                   "in_flight, confirmed, rate%s) values ('orders', 'host-a', 4711, '0.1.0', "
                   "from_now(0), from_now(0), 0, 0, 0%s)",
                   db_relay_columns(), db_relay_values()); /* fits */
    db_exec(db, sql);
    if (changes != NULL) {
        (void)snprintf(sql, sizeof(sql), "update outbox_relay set %s", changes); /* fits */
        db_exec(db, sql);
    }
}

/* Messages 1 to 3 in the outbox, written 10 minutes ago; the second has the key "a". */
static void
write_three(void)
{
    db_exec(db, "insert into outbox (message_id, \"key\", payload, created_at) select "
                "as_id(concat('00000000-0000-7000-8000-', lpad(concat(i), 12, '0'))), "
                "case i when 2 then 'a' end, '', from_now(-600) from " DB_SERIES("1", "3"));
}

static void
expect(const char *id, int status, const char *expected)
{
    char arguments[200];
    (void)snprintf(arguments, sizeof(arguments), "explain %s -c relay.conf", id); /* fits */
    cr_assert_eq(cli(arguments), status, "%s", cli_stderr());
    cr_assert_str_empty(cli_stderr());
    cr_assert_str_eq(held_timeless(cli_stdout()), expected, "%s\nexpected:\n%s",
                     held_timeless(cli_stdout()), expected);
}

/* Explains the message, expects one answer with this "where", and returns it. */
static json_t *
story(const char *id, const char *where)
{
    char arguments[200];
    (void)snprintf(arguments, sizeof(arguments), "explain --json %s", id); /* fits */
    json_t *const array = held_json(arguments, strcmp(where, "unknown") == 0 ? 1 : 0);
    cr_assert_eq(json_array_size(array), 1);
    json_t *const told = json_incref(json_array_get(array, 0));
    cr_assert_str_eq(json_string_value(json_object_get(told, "where")), where);
    json_decref(array);
    return told;
}

static void
expect_where(const char *id, const char *where)
{
    json_decref(story(id, where));
}

#define MESSAGE(digits, id) "message " HELD_UUID(digits) ", id " id ":\n"
#define IN_OUTBOX                                                                           \
    "  It is in the outbox, written at TIME (10 min ago): committed, not confirmed by the " \
    "broker.\n"
#define NO_RELAY "  No relay is running for this source: start one with `outbox-relay run`.\n"

Test(cli_explain, in_the_outbox_and_no_relay)
{
    write_three();
    expect("3", 0,
           MESSAGE("03", "3") IN_OUTBOX NO_RELAY "  In the outbox 2 messages are before it.\n");
    expect(HELD_UUID("01"), 0,
           MESSAGE("01", "1") IN_OUTBOX NO_RELAY "  In the outbox nothing is before it.\n");
    expect_where("3", "outbox");
}

Test(cli_explain, in_the_outbox_and_not_read_yet)
{
    write_three();
    struct db *const owner = relay();
    tell("read_up_to = 1, published_up_to = 1, in_flight = 1, in_flight_since = from_now(0)");
    expect("2", 0,
           MESSAGE("02", "2") IN_OUTBOX
           "  The relay has not read it yet; 1 message is before it.\n");
    tell("read_up_to = 2, published_up_to = 1, in_flight = 1, in_flight_since = from_now(0)");
    expect("2", 0,
           MESSAGE("02", "2") IN_OUTBOX
           "  The relay has read up to id 2, so it has it or finds it soon, and sends it in its "
           "turn.\n");
    db_close(owner);
}

Test(cli_explain, in_flight)
{
    write_three();
    struct db *const owner = relay();
    tell("read_up_to = 3, published_up_to = 2, in_flight = 2, "
         "in_flight_since = from_now(-240)");
    expect("2", 0,
           MESSAGE("02", "2") IN_OUTBOX "  It is published, or about to be, and waits for the "
                                        "broker's confirm: 2 messages in flight, the oldest "
                                        "published at TIME (4 min ago).\n");
    expect_where("2", "in_flight");
    expect_where("3", "outbox");
    tell("read_up_to = 3, published_up_to = 2, in_flight = 0");
    expect_where("2", "outbox");
    db_close(owner);
}

Test(cli_explain, the_relay_is_paused)
{
    write_three();
    struct db *const owner = relay();
    tell("read_up_to = 1, paused_reason = 'broker unreachable: refused', "
         "paused_since = from_now(-240)");
    expect("2", 0,
           MESSAGE("02", "2") IN_OUTBOX
           "  The relay is paused since TIME (4 min ago): broker "
           "unreachable: refused\n"
           "  The relay has not read it yet; 1 message is before it.\n");
    db_close(owner);
}

Test(cli_explain, its_key_is_kept_back)
{
    write_three();
    held_put(db, 90, "a", "dead", "attempts = 9, last_error = 'too large'");
    held_put(db, 91, "a", "dead", "skipped = true");
    struct db *const owner = relay();
    tell("read_up_to = 3, published_up_to = 3, in_flight = 2, in_flight_since = from_now(0)");
    expect(
        "2", 0,
        MESSAGE("02", "2") IN_OUTBOX "  Its key is kept back by id 90 (message " HELD_UUID(
            "90") "), which is held: the relay sets it aside behind that one.\n"
                  "  That one is dead, refused 9 times.\n"
                  "  Last answer: too large\n"
                  "  `outbox-relay held retry 90` tries it again; `outbox-relay held discard 90` "
                  "lets its key go on without it.\n");
    expect_where("3", "in_flight");
    db_close(owner);
}

Test(cli_explain, scheduled)
{
    write_three();
    db_exec(db, "update outbox set deliver_after = from_now(36000) where id = 3");
    held_put(db, 50, NULL, "scheduled", "next_attempt_at = from_now(259200)");
    struct db *const owner = relay();
    tell(NULL);
    expect("3", 0,
           MESSAGE("03", "3") IN_OUTBOX
           "  It is scheduled: it is not sent before TIME (in 10 h).\n");
    expect("50", 0,
           MESSAGE("50", "50") "  It is held since TIME (3 min ago): scheduled.\n"
                               "  It is scheduled to be sent at TIME (in 3 d).\n");
    expect_where("3", "scheduled");
    expect_where("50", "scheduled");
    db_close(owner);
}

Test(cli_explain, scheduled_for_no_time_that_comes)
{
    char expected[300];
    held_put(db, 51, NULL, "scheduled", "next_attempt_at = last_time()");
    (void)snprintf(expected, sizeof(expected),
                   MESSAGE("51", "51") "  It is held since TIME (3 min ago): scheduled.\n"
                                       "  It is scheduled to be sent at %s",
                   db_words_never()); /* fits */
    cr_assert_eq(cli("explain 51 -c relay.conf"), 0, "%s", cli_stderr());
    cr_assert_eq(strncmp(held_timeless(cli_stdout()), expected, strlen(expected)), 0, "%s",
                 cli_stdout());
}

Test(cli_explain, retrying)
{
    held_put(db, 1, "a", "retrying",
             "attempts = 3, next_attempt_at = from_now(36000), last_error = 'no queue'");
    expect("1", 0,
           MESSAGE("01", "1") "  It is held since TIME (3 min ago): retrying.\n"
                              "  It was refused 3 times; it is tried next at TIME (in 10 h).\n"
                              "  Last answer: no queue\n" NO_RELAY);
    db_exec(db, "update outbox_held set attempts = 0, skipped = true, last_error = null, "
                "next_attempt_at = from_now(-240)");
    struct db *const owner = relay();
    tell(NULL);
    expect("1", 0,
           MESSAGE("01", "1") "  It is held since TIME (3 min ago): retrying, skipped.\n"
                              "  It has been due since TIME (4 min ago).\n"
                              "  Later messages of its key are sent without waiting for it.\n");
    db_close(owner);
}

Test(cli_explain, waiting)
{
    struct db *const owner = relay();
    tell(NULL);
    held_put(db, 1, "a", "retrying",
             "attempts = 1, next_attempt_at = from_now(36000), last_error = 'no queue'");
    held_put(db, 2, "a", "waiting", NULL);
    held_put(db, 3, "a", "waiting", NULL);
    expect(
        HELD_UUID("03"), 0,
        MESSAGE("03", "3") "  It is held since TIME (3 min ago): waiting.\n"
                           "  It waits behind id 1 (message " HELD_UUID(
                               "01") ") of its key \"a\", and between them 1 message.\n"
                                     "  That one was refused 1 time; it is tried next at TIME (in "
                                     "10 h).\n"
                                     "  Last answer: no queue\n");
    db_exec(db, "delete from outbox_held where id = 1");
    expect("2", 0,
           MESSAGE("02",
                   "2") "  It is held since TIME (3 min ago): waiting.\n"
                        "  It waits behind no held message any more: a running relay moves it to "
                        "the outbox.\n");
    db_close(owner);
}

Test(cli_explain, dead)
{
    held_put(db, 1, "a", "dead", "attempts = 10, last_error = 'too large'");
    expect("1", 0,
           MESSAGE("01", "1") "  It is held since TIME (3 min ago): dead.\n"
                              "  It is dead: it was refused 10 times and is not tried again by "
                              "itself.\n"
                              "  Last answer: too large\n"
                              "  Later messages of its key wait behind it.\n"
                              "  `outbox-relay held retry 1` tries it again, `outbox-relay held "
                              "discard 1` deletes it.\n");
    json_t *const told = story("1", "dead");
    const json_t *const held = json_object_get(told, "held");
    cr_assert_eq(json_integer_value(json_object_get(told, "id")), 1);
    cr_assert_eq(json_array_size(json_object_get(told, "text")), 5);
    cr_assert_str_eq(json_string_value(json_object_get(held, "last_error")), "too large");
    json_decref(told);
}

Test(cli_explain, discarded_and_retried)
{
    held_put(db, 1, "a", "dead", "attempts = 10");
    cr_assert_eq(cli("held retry 1 -c relay.conf"), 0);
    db_exec(db, "update outbox_held_act set who = 'mia@desk, database role ops'");
    cr_assert_eq(cli("explain 1 -c relay.conf"), 0);
    cr_assert_not_null(
        strstr(cli_stdout(), "\n  It was retried by mia@desk, database role ops at "), "%s",
        cli_stdout());
    cr_assert_eq(cli("held discard 1 --yes -c relay.conf"), 0);
    db_exec(db, "update outbox_held_act set who = 'mia@desk, database role ops', "
                "at = from_now(-240)");
    expect(
        HELD_UUID("01"), 0,
        MESSAGE("01", "1") "  It was retried by mia@desk, database role ops at TIME (4 min ago), "
                           "when it was dead.\n"
                           "  It was discarded by mia@desk, database role ops at TIME (4 min ago), "
                           "when it was retrying.\n");
    expect_where("1", "discarded");
}

/* A batch of messages with the ids 7, 8 and -9, sent 5 min ago, and one with 8 again a minute later. */
static void
record_sent(void)
{
    db_exec(
        db,
        db_choose(
            "insert into outbox_sent_batch (sent_at, total_bytes, ids, message_ids) values "
            "(from_now(-300), 1, '{7,8,-9}', '{" HELD_UUID("07") "," HELD_UUID("08") "," HELD_UUID(
                "09") "}'), "
                      "(from_now(-240), 2, '{8}', '{" HELD_UUID("08") "}')",
            "insert into outbox_sent_batch (sent_at, total_bytes, ids, message_ids) values "
            "(from_now(-300), 1, '7,8,-9', concat(as_id('" HELD_UUID("07") "'), as_id('" HELD_UUID(
                "08") "'), as_id('" HELD_UUID("09") "'))), "
                                                    "(from_now(-240), 2, '8', as_id('" HELD_UUID(
                                                        "08") "'))"));
}

#define SENT(minutes) "  It was sent at TIME (" minutes " min ago), and confirmed by the broker.\n"

Test(cli_explain, sent)
{
    record_sent();
    expect("7", 0, MESSAGE("07", "7") SENT("5"));
    expect_where(HELD_UUID("09"), "sent");
    expect("8", 0, MESSAGE("08", "8") SENT("4")); /* twice: the last counts */
    json_t *const told = story(HELD_UUID("09"), "sent");
    cr_assert_eq(json_integer_value(json_object_get(told, "id")), -9);
    cr_assert(json_is_string(json_object_get(told, "sent_at")));
    json_decref(told);
}

#define OR_ELSE                                                                            \
    "while nothing was recorded, or somebody deleted it, or it was never written, or its " \
    "transaction was rolled back or is not over.\n"
#define NOT_HERE                                        \
    "  It is neither in the outbox nor held.\n"         \
    "  There is no record of anything that was sent.\n" \
    "  Either it was sent " OR_ELSE

Test(cli_explain, not_here)
{
    expect("99", 1, "message 99:\n" NOT_HERE);
    expect_where(HELD_UUID("99"), "unknown");
    record_sent();
    expect("99", 1,
           "message 99:\n"
           "  It is neither in the outbox nor held.\n"
           "  There is no record that it was sent; records reach back to TIME (5 min ago).\n"
           "  Either it was sent before that, or " OR_ELSE);
    expect_where("9", "unknown");
    expect_where("78", "unknown");
    /* The end of one message id and the beginning of the next. */
    expect_where("00000000-0007-0000-0000-000070008000", "unknown");
}

/* Gaps: what is recorded does not say how it is now. */
Test(cli_explain, nothing_is_recorded_now)
{
    record_sent();
    cli_write("relay.conf",
              "broker main { uri = \"amqp://relay@h.invalid\" }\n"
              "source orders { kind = %s dsn = \"%s\" broker = main keep_sent = 0 }\n",
              db_kind(), db_dsn());
    expect("99", 1,
           "message 99:\n"
           "  It is neither in the outbox nor held.\n"
           "  There is no record that it was sent; records reach back to TIME (5 min ago).\n"
           "  The relay records nothing (keep_sent = 0).\n"
           "  Either it was sent before that, or " OR_ELSE);
    expect("7", 0, MESSAGE("07", "7") SENT("5"));
}

/* An application may write a message id again that an operator has discarded. */
Test(cli_explain, discarded_and_then_sent)
{
    record_sent();
    db_exec(db,
            "insert into outbox_held_act (held_id, message_id, what, who, state, at) values "
            "(7, as_id('" HELD_UUID("07") "'), 'discard', 'x', 'dead', from_now(-400)), "
                                          "(8, as_id('" HELD_UUID(
                                              "08") "'), 'discard', 'x', 'dead', from_now(-100))");
    expect_where(HELD_UUID("07"), "sent");
    expect_where(HELD_UUID("08"), "discarded");
}

Test(cli_explain, no_record)
{
    db_exec(db, "drop table outbox_sent_batch");
    cr_assert_eq(cli("explain 99 -c relay.conf"), 1);
    cr_assert_not_null(strstr(cli_stdout(), "What was sent is not known: there is no table "
                                            "outbox_sent_batch: run `outbox-relay init`.\n"),
                       "%s", cli_stdout());
    cr_assert_eq(cli("init -c relay.conf"), 0, "%s%s", cli_stdout(), cli_stderr());
    expect("99", 1, "message 99:\n" NOT_HERE);
}

/* MariaDB and MySQL say when a transaction began from a list that they refresh only if nobody has read it for 0.1 s. */
static void
explain_until_since_is_known(void)
{
    int tries = 0;
    do {
        cr_assert_eq(cli("explain 1 -c relay.conf"), 1);
    } while (strstr(cli_stdout(), "open since ?") != NULL && tries++ < 100 && usleep(300000) == 0);
}

/* Sessions that only read, write to other tables or own the outbox are not listed as writers. */
Test(cli_explain, who_may_have_it)
{
    char expected[2000];
    struct db *const writer = db_connect();
    struct db *const reader = db_connect();
    struct db *const owner = relay();
    tell(NULL);
    db_be_shop(writer);
    db_exec(writer, "begin; insert into outbox (payload) values ('')");
    db_exec(reader, "begin; delete from outbox_sent_batch");
    (void)db_int(reader, "select count(*) from outbox");
    db_exec(owner, "begin; delete from outbox where id = 0");
    (void)snprintf(expected, sizeof(expected),
                   "message 1:\n" NOT_HERE
                   "  Session %d (\"%s\", role %s) may have it in its transaction, open since "
                   "TIME (0 s ago).\n",
                   (int)db_session(writer), db_words_application(), db_role()); /* fits */
    explain_until_since_is_known();
    cr_assert_eq(strncmp(held_timeless(cli_stdout()), expected, strlen(expected) - 10), 0, "%s",
                 cli_stdout());
    json_t *const told = story("1", "unknown");
    const json_t *const writers = json_object_get(told, "writers");
    cr_assert_eq(json_array_size(writers), 1);
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(writers, 0), "application")),
                     db_words_application());
    json_decref(told);
    db_exec(writer, "commit");
    db_exec(owner, "rollback");
    expect_where("1", "outbox");
    db_close(writer);
    db_close(reader);
    db_close(owner);
}

/* MariaDB and MySQL do not say to which database a prepared transaction belongs, so other tests on the same server
 * would see it. */
static void
set_up_own(void)
{
    servers_start(db_server());
    set_up();
}

static void
tear_down_own(void)
{
    tear_down();
    servers_stop();
}

TestSuite(cli_explain_prepared, .init = set_up_own, .fini = tear_down_own);

/* A prepared transaction's locks keep the name of the session's transaction; after a restart of the server they have
 * their own. */
Test(cli_explain_prepared, a_prepared_transaction_may_have_it)
{
    char expected[600];
    struct db *const writer = db_connect();
    db_prepare(writer, "explained", "insert into outbox (payload) values ('')");
    db_close(writer);
    (void)snprintf(expected, sizeof(expected),
                   "message 1:\n" NOT_HERE "  Prepared transaction \"%s\" of role ",
                   db_prepared_name("explained")); /* fits */
    cr_assert_eq(cli("explain 1 -c relay.conf"), 1);
    cr_assert_eq(strncmp(cli_stdout(), expected, strlen(expected)), 0, "%s", cli_stdout());
    json_t *const told = story("1", "unknown");
    const json_t *const writers = json_object_get(told, "writers");
    cr_assert_eq(json_array_size(writers), 1);
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(writers, 0), "prepared")),
                     db_prepared_name("explained"));
    json_decref(told);
    db_end_prepared(db, "explained", false);
}

/* Applications choose the message id, so two messages may have the same one. */
Test(cli_explain, tells_of_all_that_have_the_id)
{
    write_three();
    held_put(db, 3, "b", "dead", NULL);
    held_put(db, 4, "b", "dead", "message_id = as_id('" HELD_UUID("03") "')");
    json_t *const array = held_json("explain --json " HELD_UUID("03"), 0);
    cr_assert_eq(json_array_size(array), 3);
    json_decref(array);
}

/* An act on another message may have the same id, so the message id must be the same, too. */
Test(cli_explain, tells_of_acts_upon_this_message_only)
{
    write_three();
    db_exec(db, "insert into outbox_held_act (who, what, message_id, held_id, state) values "
                "('mia', 'discard', as_id('" HELD_UUID("55") "'), 1, 'dead')");
    cr_assert_eq(cli("explain 1 -c relay.conf"), 0);
    cr_assert_null(strstr(cli_stdout(), "mia"), "%s", cli_stdout());
}

Test(cli_explain, several_sources)
{
    held_put(db, 1, "a", "dead", NULL);
    struct db *const second = db_create_second();
    db_load_outbox(second);
    db_close(second);
    cli_write("relay.conf",
              "broker main { uri = \"amqp://relay@h.invalid\" }\n"
              "source orders { kind = %s dsn = \"%s\" broker = main }\n"
              "source second { kind = %s dsn = \"%s\" broker = main }\n",
              db_kind(), db_dsn(), db_kind(), db_second_dsn());
    cr_assert_eq(cli("explain 1 -c relay.conf"), 0);
    const char *const first = "message " HELD_UUID("01") ", id 1, source \"orders\":\n";
    cr_assert_eq(strncmp(cli_stdout(), first, strlen(first)), 0, "%s", cli_stdout());
    cr_assert_null(strstr(cli_stdout(), "second"), "%s", cli_stdout());
    expect("99", 1,
           "message 99, source \"orders\":\n" NOT_HERE
           "\nmessage 99, source \"second\":\n" NOT_HERE);
    cr_assert_eq(cli("explain 1 --source second -c relay.conf"), 1);
}

Test(cli_explain, wrong_usage)
{
    held_expect("explain", 64, "",
                "outbox-relay explain: which message? Name its message id, or the id of its row\n"
                "Try \"outbox-relay explain --help\".\n");
    held_expect("explain 1 2", 64, "",
                "outbox-relay explain: \"2\" is one word too many\n"
                "Try \"outbox-relay explain --help\".\n");
    held_expect("explain 12ab", 64, "",
                "outbox-relay explain: \"12ab\" is neither a message id nor the id of a row\n"
                "Try \"outbox-relay explain --help\".\n");
}
