#include <criterion/criterion.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/held_fixture.h"

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

TestSuite(cli_held_act, .init = set_up, .fini = tear_down);

/* A retrying key and a dead key, each with two waiting messages, and a scheduled message without a key. */
static void
put_all(void)
{
    held_put(db, 10, "a", "retrying",
             "attempts = 3, next_attempt_at = from_now(36000), last_error = 'no queue'");
    held_put(db, 11, "a", "waiting", NULL);
    held_put(db, 12, "a", "waiting", NULL);
    held_put(db, 20, "b", "dead", "attempts = 9, last_error = 'too large'");
    held_put(db, 21, "b", "waiting", NULL);
    held_put(db, 22, "b", "waiting", NULL);
    held_put(db, 30, NULL, "scheduled",
             "next_attempt_at = from_now(259200), deliver_after = from_now(259200)");
}

/* All held messages as "id state attempts due", in the order of ids. */
static const char *
held(void)
{
    return held_query(db,
                      "select coalesce(group_concat(concat_ws(' ', id, state, attempts, "
                      "case when next_attempt_at <= from_now(0) then 'due' end) order by id), '') "
                      "from outbox_held");
}

/* All acts as "what id state", in the order in which they were recorded. */
static const char *
acts(struct db *where)
{
    return held_query(where, "select coalesce(group_concat(concat_ws(' ', what, held_id, state) "
                             "order by id), '') from outbox_held_act");
}

static void
expect_held(const char *expected)
{
    cr_assert_str_eq(held(), expected, "%s", held());
}

static void
expect_acts(const char *expected)
{
    cr_assert_str_eq(acts(db), expected, "%s", acts(db));
}

#define ALL_AS_IT_WAS                                                              \
    "10 retrying 3,11 waiting 0,12 waiting 0,20 dead 9,21 waiting 0,22 waiting 0," \
    "30 scheduled 0"
#define BEHIND_A "behind id 10 (message " HELD_UUID("10") ", retrying): "
#define BEHIND_B "behind id 20 (message " HELD_UUID("20") ", dead): "

Test(cli_held_act, retries_what_is_named)
{
    put_all();
    held_expect("held retry 10 " HELD_UUID("20"), 0,
                "2 messages are tried again at once (1 retrying, 1 dead)\n", "");
    expect_held("10 retrying 3 due,11 waiting 0,12 waiting 0,20 retrying 0 due,21 waiting 0,"
                "22 waiting 0,30 scheduled 0");
    expect_acts("retry 10 retrying,retry 20 dead");
}

Test(cli_held_act, an_act_says_who_did_it_to_what)
{
    put_all();
    char host[256];
    char expected[600];
    cr_assert_eq(gethostname(host, sizeof(host)), 0);
    (void)snprintf(expected, sizeof(expected), HELD_UUID("20") " 20 b %s@%s, %s",
                   getpwuid(geteuid())->pw_name, host, db_account()); /* fits */
    held_expect("held retry 20", 0, "1 message is tried again at once (1 dead)\n", "");
    cr_assert_str_eq(
        held_query(db, "select concat_ws(' ', id_text(message_id), held_id, \"key\", who) from "
                       "outbox_held_act where seen_at is null and at > from_now(-60)"),
        expected);
}

/* When the message is back in the outbox, the relay looks at deliver_after again. */
Test(cli_held_act, a_scheduled_one_goes_now)
{
    put_all();
    held_expect("held retry 30", 0, "1 message is tried again at once (1 scheduled)\n", "");
    cr_assert(db_holds(db, "select state = 'scheduled' and next_attempt_at <= from_now(0) and "
                           "deliver_after <= from_now(0) from outbox_held where id = 30"));
}

Test(cli_held_act, a_skipped_one_stays_apart_from_its_key)
{
    put_all();
    held_put(db, 40, "b", "dead", "skipped = true, attempts = 5");
    held_expect("held retry 40", 0, "1 message is tried again at once (1 dead)\n", "");
    cr_assert(db_holds(db, "select state = 'retrying' and skipped and attempts = 0 "
                           "from outbox_held where id = 40"));
}

Test(cli_held_act, waiting_ones_wait_for_their_head)
{
    put_all();
    held_expect("held retry 11 12 21", 0,
                "2 wait " BEHIND_A "they go when that has gone\n"
                "1 waits " BEHIND_B "it goes when that has gone\n",
                "");
    expect_held(ALL_AS_IT_WAS);
    held_put(db, 9, "a", "dead", "skipped = true");
    held_put(db, 50, "c", "waiting", NULL);
    held_expect(
        "held retry 50 12", 0,
        "1 waits " BEHIND_A "it goes when that has gone\n"
        "1 waits behind no held message any more: a running relay moves them to the outbox\n",
        "");
    expect_acts("");
    held_expect(
        "held retry --key b", 0,
        "1 message is tried again at once (1 dead)\n"
        "2 wait behind id 20 (message " HELD_UUID("20") ", retrying): they go when that has gone\n",
        "");
}

Test(cli_held_act, chooses_by_options)
{
    put_all();
    held_expect("held retry --state dead", 0, "1 message is tried again at once (1 dead)\n", "");
    held_expect("held retry --reason queue --older-than 2m", 0,
                "1 message is tried again at once (1 retrying)\n", "");
    held_expect("held retry --reason queue --older-than 4m", 0, "no held message matches\n", "");
    expect_acts("retry 20 dead,retry 10 retrying");
    held_expect("held discard --yes --all", 0,
                "7 messages are discarded (1 scheduled, 2 retrying, 4 waiting)\n", "");
    expect_held("");
    cr_assert_eq(db_int(db, "select count(*) from outbox_held_act"), 9);
}

Test(cli_held_act, a_dry_run_changes_nothing)
{
    put_all();
    held_expect("held retry --dry-run --all", 0,
                "3 messages would be tried again at once (1 scheduled, 1 retrying, 1 dead)\n"
                "2 wait " BEHIND_A "they go when that has gone\n"
                "2 wait " BEHIND_B "they go when that has gone\n",
                "");
    held_expect("held discard --dry-run --key a", 0,
                "3 messages would be discarded (1 retrying, 2 waiting)\n", "");
    expect_held(ALL_AS_IT_WAS);
    expect_acts("");
}

/* Releasing the others is the relay's work: `discard` changes no other row. */
Test(cli_held_act, those_behind_a_discarded_head_keep_waiting_for_the_relay)
{
    put_all();
    held_expect("held discard --yes 10", 0,
                "1 message is discarded (1 retrying)\n"
                "1 key goes on: the messages that waited are sent next\n",
                "");
    expect_held("11 waiting 0,12 waiting 0,20 dead 9,21 waiting 0,22 waiting 0,"
                "30 scheduled 0");
    expect_acts("discard 10 retrying");
}

Test(cli_held_act, a_key_of_which_nothing_is_left_does_not_go_on)
{
    put_all();
    held_expect("held discard --yes 21 20 10 11 12", 0,
                "5 messages are discarded (1 retrying, 3 waiting, 1 dead)\n"
                "1 key goes on: the messages that waited are sent next\n",
                "");
    expect_held("22 waiting 0,30 scheduled 0");
}

Test(cli_held_act, nothing_moves_up_when_the_head_stays)
{
    put_all();
    held_put(db, 40, "b", "dead", "skipped = true");
    held_put(db, 41, "b", "retrying", "skipped = true, next_attempt_at = from_now(3600)");
    held_expect("held discard --yes 11 40 41", 0,
                "3 messages are discarded (1 retrying, 1 waiting, 1 dead)\n", "");
    expect_held("10 retrying 3,12 waiting 0,20 dead 9,21 waiting 0,22 waiting 0,"
                "30 scheduled 0");
}

Test(cli_held_act, other_keys_are_left_alone)
{
    put_all();
    held_put(db, 5, "c", "waiting", NULL);
    held_expect("held discard --yes --key a --state retrying", 0,
                "1 message is discarded (1 retrying)\n"
                "1 key goes on: the messages that waited are sent next\n",
                "");
    cr_assert_str_eq(held_query(db, "select state from outbox_held where id = 5"), "waiting");
}

#define UNKNOWN_99 "no held message has the id 99; `outbox-relay explain 99` says where it is\n"

Test(cli_held_act, says_which_ids_are_not_held_and_does_the_rest)
{
    put_all();
    held_expect("held retry 99 20", 1, "1 message is tried again at once (1 dead)\n", UNKNOWN_99);
    held_expect("held discard --yes 99", 1, "", UNKNOWN_99);
    expect_acts("retry 20 dead");
}

Test(cli_held_act, wrong_choices)
{
    static const struct {
        const char *arguments;
        const char *said;
    } cases[] = {
        {"", "which messages? Name their ids, choose by --state, --key, --type, --reason or "
             "--older-than, or say --all"},
        {"--source orders", "which messages? Name their ids, choose by --state, --key, --type, "
                            "--reason or --older-than, or say --all"},
        {"10 --all", "choose by ids or by options, not by both"},
        {"10 --state dead", "choose by ids or by options, not by both"},
        {"--all --state dead", "--all and another choice contradict each other"},
        {"ten", "\"ten\" is neither the id of a row nor a message id"},
        {"-1", "unknown option \"-1\""},
    };
    put_all();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static const char *const commands[] = {"retry", "discard"};
        for (size_t j = 0; j < 2; j++) {
            char arguments[200];
            char said[400];
            (void)snprintf(arguments, sizeof(arguments), "held %s %s", commands[j],
                           cases[i].arguments); /* fits */
            (void)snprintf(said, sizeof(said),
                           "outbox-relay held %s: %s\nTry \"outbox-relay held %s --help\".\n",
                           commands[j], cases[i].said, commands[j]); /* fits */
            held_expect(arguments, 64, "", said);
        }
    }
    expect_held(ALL_AS_IT_WAS);
}

Test(cli_held_act, does_not_discard_unasked)
{
    put_all();
    held_expect(
        "held discard --all", 64, "",
        "outbox-relay held discard: it asks before it discards, and there is no terminal to "
        "ask on: give --yes, or --dry-run to see what would be discarded\n"
        "Try \"outbox-relay held discard --help\".\n");
    expect_held(ALL_AS_IT_WAS);
}

Test(cli_held_act, asks_and_takes_only_yes_for_yes)
{
    static const char *const no[] = {"n\n", "\n", "yo\n", "\x04"};
    put_all();
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        cr_assert_eq(cli_on_terminal("held discard 10 11 -c relay.conf", 200, no[i]), 1);
        cr_assert_not_null(strstr(cli_stdout(), "nothing was discarded\n"), "%s", cli_stdout());
        expect_held(ALL_AS_IT_WAS);
    }
    cr_assert_eq(cli_on_terminal("held discard 10 11 -c relay.conf", 200, "y\n"), 0);
    const char *const question = "\ndiscard 2 messages for ever? [y/N] y\n"
                                 "2 messages are discarded (1 retrying, 1 waiting)\n"
                                 "1 key goes on: the messages that waited are sent next\n";
    cr_assert_not_null(strstr(cli_stdout(), question), "%s", cli_stdout());
    cr_assert_not_null(strstr(cli_stdout(), "\n10  " HELD_UUID("10")), "%s", cli_stdout());
    cr_assert_not_null(strstr(cli_stdout(), "\n11  " HELD_UUID("11")), "%s", cli_stdout());
    expect_acts("discard 10 retrying,discard 11 waiting");
}

Test(cli_held_act, shows_a_part_of_many_before_it_asks)
{
    db_exec(db, "insert into outbox_held (id, message_id, routing_key, payload, created_at, state) "
                "select i, new_id(), '', '', from_now(0), 'dead' from " DB_SERIES("1", "25"));
    cr_assert_eq(cli_on_terminal("held discard --all -c relay.conf", 200, "yes\n"), 0);
    cr_assert_not_null(
        strstr(cli_stdout(), "\nand 5 more\ndiscard 25 messages for ever? [y/N] yes\n"), "%s",
        cli_stdout());
    expect_held("");
}

Test(cli_held_act, counts_what_it_did_when_others_act_meanwhile)
{
    put_all();
    struct db *const other = db_connect();
    db_exec(other, "begin; delete from outbox_held where id = 20");
    const pid_t command = cli_start("held retry 10 20 30 -c relay.conf");
    db_wait_any_blocked(db);
    db_exec(other, "commit");
    cr_assert_eq(cli_finish(command), 0);
    cr_assert_str_eq(cli_stdout(),
                     "2 messages are tried again at once (1 scheduled, 1 retrying)\n"
                     "2 of 3: 1 is gone or changed meanwhile\n",
                     "%s", cli_stdout());
    expect_acts("retry 10 retrying,retry 30 scheduled");
    db_close(other);
}

/* The operator agreed to discard dead messages, so one that somebody has retried meanwhile stays. */
Test(cli_held_act, leaves_what_is_not_as_chosen_any_more)
{
    put_all();
    struct db *const other = db_connect();
    db_exec(other, "begin; update outbox_held set state = 'retrying' where id = 20");
    const pid_t command = cli_start("held discard --yes --state dead -c relay.conf");
    db_wait_any_blocked(db);
    db_exec(other, "commit");
    cr_assert_eq(cli_finish(command), 0);
    cr_assert_str_eq(cli_stdout(),
                     "0 messages are discarded\n0 of 1: 1 is gone or changed meanwhile\n", "%s",
                     cli_stdout());
    cr_assert_str_eq(held_query(db, "select state from outbox_held where id = 20"), "retrying");
    cr_assert_str_eq(held_query(db, "select state from outbox_held where id = 21"), "waiting");
    expect_acts("");
    db_close(other);
}

/* The relay may be moving the messages that wait behind. */
Test(cli_held_act, a_discard_locks_only_what_it_discards)
{
    put_all();
    struct db *const other = db_connect();
    db_exec(other, "begin; delete from outbox_held where id in (11, 12)");
    held_expect("held discard --yes 10", 0,
                "1 message is discarded (1 retrying)\n"
                "1 key goes on: the messages that waited are sent next\n",
                "");
    db_exec(other, "commit");
    cr_assert_eq(db_int(db, "select count(*) from outbox_held where \"key\" = 'a'"), 0);
    db_close(other);
}

/* Rows are locked in the order of ids, not in that of the arguments: so two operators, or one and the relay, cannot
 * deadlock. */
Test(cli_held_act, locks_in_the_order_of_ids)
{
    held_put(db, 3, "c", "dead", NULL);
    held_put(db, 2, "b", "dead", NULL);
    held_put(db, 1, "a", "dead", NULL);
    struct db *const other = db_connect();
    static const char *const commands[] = {"held retry --all -c relay.conf",
                                           "held discard --yes --all -c relay.conf"};
    for (size_t i = 0; i < 2; i++) {
        db_exec(other, "begin; select id from outbox_held where id = 1 for update");
        const pid_t command = cli_start(commands[i]);
        db_wait_any_blocked(db);
        db_exec(other, "select id from outbox_held where id in (2, 3) for update nowait; commit");
        cr_assert_eq(cli_finish(command), 0);
    }
    db_close(other);
}

Test(cli_held_act, tries_again_after_a_deadlock)
{
    put_all();
    struct db *const other = db_connect();
    db_begin_winner(other);
    db_exec(other, "update outbox_held set attempts = 77 where id = 20");
    const pid_t command = cli_start("held retry 10 20 -c relay.conf");
    db_wait_any_blocked(db);
    db_exec(other, "update outbox_held set attempts = 77 where id = 10; commit");
    cr_assert_eq(cli_finish(command), 0, "%s", cli_stderr());
    cr_assert_str_eq(cli_stdout(), "2 messages are tried again at once (1 retrying, 1 dead)\n");
    expect_held("10 retrying 77 due,11 waiting 0,12 waiting 0,20 retrying 0 due,21 waiting 0,"
                "22 waiting 0,30 scheduled 0");
    db_close(other);
}

/* A second database on the same server, for a second source. */
static struct db *
make_second_source(void)
{
    struct db *const second = db_create_second();
    db_load_outbox(second);
    held_put(second, 50, "x", "dead", NULL);
    held_put(second, 20, "x", "dead", "message_id = as_id('" HELD_UUID("77") "')");
    cli_write("relay.conf",
              "broker main { uri = \"amqp://relay@h.invalid\" }\n"
              "source orders { kind = %s dsn = \"%s\" broker = main }\n"
              "source second { kind = %s dsn = \"%s\" broker = main }\n",
              db_kind(), db_dsn(), db_kind(), db_second_dsn());
    return second;
}

Test(cli_held_act, finds_ids_in_all_sources)
{
    put_all();
    struct db *const second = make_second_source();
    held_expect("held retry 50 10", 0,
                "source \"orders\": 1 message is tried again at once (1 retrying)\n"
                "source \"second\": 1 message is tried again at once (1 dead)\n",
                "");
    held_expect("held discard --yes 20", 64, "",
                "outbox-relay held discard: id 20 is held in source \"orders\" and in \"second\": "
                "say which by --source\n"
                "Try \"outbox-relay held discard --help\".\n");
    held_expect("held discard --yes 20 --source second", 0, "1 message is discarded (1 dead)\n",
                "");
    held_expect("held discard --yes " HELD_UUID("20"), 0,
                "source \"orders\": 1 message is discarded (1 dead)\n"
                "source \"orders\": 1 key goes on: the messages that waited are sent next\n",
                "");
    cr_assert_eq(db_int(second, "select count(*) from outbox_held"), 1);
    db_close(second);
}

Test(cli_held_act, acts_in_each_source_on_what_is_named_there)
{
    put_all();
    struct db *const second = make_second_source();
    held_put(second, 51, "y", "dead", NULL);
    held_put(second, 52, "z", "dead", NULL);
    held_expect("held retry 51 30 50 10", 0,
                "source \"orders\": 2 messages are tried again at once (1 scheduled, 1 retrying)\n"
                "source \"second\": 2 messages are tried again at once (2 dead)\n",
                "");
    held_expect("held discard --yes 52 22 12 51 11", 0,
                "source \"orders\": 3 messages are discarded (3 waiting)\n"
                "source \"second\": 2 messages are discarded (1 retrying, 1 dead)\n",
                "");
    expect_acts("retry 10 retrying,retry 30 scheduled,discard 11 waiting,discard 12 waiting,"
                "discard 22 waiting");
    cr_assert_str_eq(acts(second),
                     "retry 50 dead,retry 51 dead,discard 51 retrying,discard 52 dead", "%s",
                     acts(second));
    db_close(second);
}

/* Sources in which nothing is named are left alone. */
Test(cli_held_act, a_name_of_one_source_acts_in_no_other)
{
    put_all();
    struct db *const second = make_second_source();
    held_expect("held discard --yes 50", 0, "source \"second\": 1 message is discarded (1 dead)\n",
                "");
    expect_held(ALL_AS_IT_WAS);
    expect_acts("");
    db_close(second);
}

Test(cli_held_act, ids_are_of_any_size)
{
    held_put(db, 1, "a", "dead", "id = -9223372036854775808");
    held_put(db, 2, "b", "dead", "id = -1");
    held_put(db, 3, "c", "dead", "id = 9223372036854775807");
    held_expect("held retry --all", 0, "3 messages are tried again at once (3 dead)\n", "");
    expect_acts("retry -9223372036854775808 dead,retry -1 dead,retry 9223372036854775807 dead");
}

/* More messages than one statement handles. */
static void
put_many(const char *key, const char *state)
{
    char sql[400];
    (void)snprintf(
        sql, sizeof(sql),
        "insert into outbox_held (id, message_id, routing_key, \"key\", payload, created_at, "
        "state) select i, new_id(), '', %s, '', from_now(0), %s from " DB_SERIES("1", "25000"),
        key, state); /* fits */
    db_exec(db, sql);
}

/* If the act fails for one message, it is done to none. */
Test(cli_held_act, an_act_upon_many_is_all_or_nothing)
{
    put_many("concat('k', i - mod(i, 2))", "case mod(i, 2) when 0 then 'dead' else 'waiting' end");
    db_forbid(db, "delete", "outbox_held", "old.id = 24998");
    cr_assert_eq(cli("held discard --yes --state dead -c relay.conf"), 1);
    cr_assert_not_null(strstr(cli_stderr(), "forbidden"), "%s", cli_stderr());
    cr_assert_eq(db_int(db, "select count(*) from outbox_held"), 25000);
    cr_assert_eq(db_int(db, "select count(*) from outbox_held_act"), 0);
    db_exec(db, "update outbox_held set state = 'retrying' where id = 24998");
    held_expect("held discard --yes --state dead", 0,
                "12499 messages are discarded (12499 dead)\n"
                "12498 keys go on: the messages that waited are sent next\n",
                "");
    cr_assert_eq(db_int(db, "select count(*) from outbox_held where state = 'waiting'"), 12500);
    cr_assert_eq(db_int(db, "select count(*) from outbox_held_act"), 12499);
}

/* Waiting messages are looked at in parts, but the head is counted only once. */
Test(cli_held_act, a_crowd_waits_behind_one_message)
{
    put_many("'k'", "'waiting'");
    held_put(db, 0, "k", "dead", NULL);
    held_expect("held retry --all --dry-run", 0,
                "1 message would be tried again at once (1 dead)\n"
                "25000 wait behind id 0 (message " HELD_UUID("00") ", dead): they go when that has "
                                                                   "gone\n",
                "");
}

/* The act and its record are one statement. */
Test(cli_held_act, an_act_that_cannot_be_written_down_is_not_done)
{
    put_all();
    db_exec(db, "alter table outbox_held_act add constraint no_discards check (what <> 'discard')");
    cr_assert_eq(cli("held discard --yes 10 -c relay.conf"), 1);
    cr_assert_not_null(strstr(cli_stderr(), "source \"orders\": "), "%s", cli_stderr());
    cr_assert_not_null(strstr(cli_stderr(), "no_discards"), "%s", cli_stderr());
    expect_held(ALL_AS_IT_WAS);
}
