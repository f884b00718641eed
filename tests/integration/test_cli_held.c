#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

TestSuite(cli_held, .init = set_up, .fini = tear_down);

/* One message in each state. */
static void
put_all(void)
{
    held_put(db, 1, "order-1", "retrying",
             "attempts = 3, next_attempt_at = from_now(36000), "
             "last_error = 'unroutable: no queue for \"paid\"'");
    held_put(db, 2, "order-1", "waiting", NULL);
    held_put(db, 30, "order-2", "dead",
             "attempts = 10, held_at = from_now(-18000), last_error = 'too large'");
    held_put(db, 31, NULL, "scheduled",
             "type = null, next_attempt_at = from_now(259200), "
             "deliver_after = from_now(259200)");
    held_put(db, 32, "order-2", "dead", "skipped = true");
}

#define HEADINGS                                                                               \
    "ID  MESSAGE ID                            KEY      TYPE        STATE          ATTEMPTS  " \
    "NEXT     HELD FOR  LAST ERROR\n"
#define ROW_1                                                                                  \
    " 1  00000000-0000-7000-8000-000000000001  order-1  order.paid  retrying              3  " \
    "in 10 h  3 min     unroutable: no queue for \"paid\"\n"
#define ROW_2                                                                                  \
    " 2  00000000-0000-7000-8000-000000000002  order-1  order.paid  waiting               0  " \
    "-        3 min     -\n"
#define ROW_30                                                                                 \
    "30  00000000-0000-7000-8000-000000000030  order-2  order.paid  dead                 10  " \
    "-        5 h       too large\n"
#define ROW_31                                                                                 \
    "31  00000000-0000-7000-8000-000000000031  -        -           scheduled             0  " \
    "in 3 d   3 min     -\n"
#define ROW_32                                                                                 \
    "32  00000000-0000-7000-8000-000000000032  order-2  order.paid  dead, skipped         0  " \
    "-        3 min     -\n"

Test(cli_held, lists_all_in_columns)
{
    put_all();
    held_expect("held list", 0,
                HEADINGS ROW_1 ROW_2 ROW_30 ROW_31 ROW_32
                "5 messages: 1 scheduled, 1 retrying, 1 waiting, 2 dead\n",
                "");
}

static void
expect_small(const char *arguments, const char *words)
{
    static const uint64_t largest = UINT64_C(1) << 20;
    cr_assert_eq(cli(arguments), 0, "%s: %s", arguments, cli_stderr());
    cr_assert_lt(strlen(cli_stdout()), largest, "%s", arguments);
    cr_assert_not_null(strstr(cli_stdout(), words), "%s: %s", arguments, cli_stdout());
    cr_assert_null(strchr(cli_stdout(), '\033'), "%s: %s", arguments, cli_stdout());
}

static void
set_up_large(void)
{
    servers_start(db_server());
    db = held_fixture_create();
    db_take_large(db);
    db_close(db);
    db = db_connect();
}

static void
tear_down_large(void)
{
    tear_down();
    servers_stop();
}

TestSuite(cli_held_large, .init = set_up_large, .fini = tear_down_large, .timeout = 120);

/* Rows that were written before the outbox had its limits: all are shown, but long values only in part. */
Test(cli_held_large, hostile_rows_are_shown_in_few_words)
{
    db_write_fast(db);
    db_lift_limits(db);
    held_put(db, 1, "k", "dead", "headers = huge_headers()");
    held_put(db, 2, "k", "dead", "\"key\" = huge_text(), skipped = true");
    held_put(db, 3, "k", "dead", "headers = as_headers(concat('{\"a\": \"', huge_text(), '\"}'))");
    held_put(db, 4, "k", "dead",
             "\"key\" = '\033[31mred', type = '\033]0;title\007', last_error = 'two\nlines'");
    held_put(db, 5, "k", "dead",
             "type = huge_text(), exchange = huge_text(), content_type = huge_text(), "
             "routing_key = huge_text(), last_error = huge_text()");
    expect_small("held list -c relay.conf", "5 messages");
    char cut[64];
    (void)snprintf(cut, sizeof(cut), "xxx... (%d bytes)",
                   (int)db_int(db, "select octet_length(huge_text())")); /* fits */
    expect_small("held list --json -c relay.conf", cut);
    expect_small("held show 1 -c relay.conf", "larger than can ever be sent");
    expect_small("held show 1 --json -c relay.conf", "larger than can ever be sent");
    expect_small("held show 2 -c relay.conf", cut);
    expect_small("held show 3 -c relay.conf", "larger than can ever be sent");
    expect_small("held show 5 --json -c relay.conf", cut);
    expect_small("explain 2 -c relay.conf", "held");
    db_exec(db,
            "insert into outbox_held (id, message_id, \"key\", routing_key, payload, created_at, "
            "state) select 6, new_id(), \"key\", '', 'x', from_now(0), 'waiting' from "
            "outbox_held where id = 2");
    expect_small("explain 6 -c relay.conf", "wait");
    expect_small("held list -c relay.conf", "6 messages");
}

Test(cli_held, lists_nothing)
{
    held_expect("held list", 0, "nothing is held\n", "");
    held_expect("held list --state dead", 0, "no held message matches\n", "");
}

Test(cli_held, lists_as_far_as_the_limit)
{
    put_all();
    cr_assert_eq(cli("held list --limit 2 -c relay.conf"), 0);
    const char *const said = cli_stdout();
    cr_assert_not_null(strstr(said, "\n 2  "), "%s", said);
    cr_assert_null(strstr(said, "\n30  "), "%s", said);
    cr_assert_not_null(strstr(said, "5 messages: 1 scheduled, 1 retrying, 1 waiting, 2 dead\n"
                                    "3 more; use --limit\n"),
                       "%s", said);
}

/* The ids in a list as "1,2". */
static const char *
listed(const char *options)
{
    static char ids[200];
    char arguments[200];
    size_t i;
    json_t *message;
    (void)snprintf(arguments, sizeof(arguments), "held list --json %s", options); /* fits */
    json_t *const array = held_json(arguments, 0);
    size_t size = 0;
    ids[0] = '\0';
    json_array_foreach(array, i, message)
    {
        size +=
            (size_t)snprintf(ids + size, sizeof(ids) - size, "%s%d", i == 0 ? "" : ",",
                             (int)json_integer_value(json_object_get(message, "id"))); /* fits */
    }
    json_decref(array);
    return ids;
}

Test(cli_held, chooses_by_each_option)
{
    put_all();
    static const struct {
        const char *options;
        const char *ids;
    } cases[] = {
        {"", "1,2,30,31,32"},
        {"--state waiting", "2"},
        {"--state dead --key order-2", "30,32"},
        {"--key order-1", "1,2"},
        {"--key order", ""},
        {"--type order.paid", "1,2,30,32"},
        {"--reason large", "30"},
        {"--reason Large", ""},
        {"--reason %", ""},
        {"--older-than 4h", "30"},
        {"--older-than 6h", ""},
        {"--limit 2 --key order-1 --reason queue", "1"},
        {"--limit 3", "1,2,30"},
        {"--source orders --limit 0", "1,2,30,31,32"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_str_eq(listed(cases[i].options), cases[i].ids, "%s: %s", cases[i].options,
                         listed(cases[i].options));
    }
}

/* Keys are compared byte for byte. */
Test(cli_held, keys_that_are_nearly_alike_are_others)
{
    held_put(db, 1, "a", "dead", NULL);
    held_put(db, 2, "A", "dead", NULL);
    held_put(db, 3, "a ", "dead", NULL);
    held_put(db, 4, "\xc3\xa4", "dead", NULL);
    cr_assert_str_eq(listed("--key a"), "1");
    cr_assert_str_eq(listed("--key A"), "2");
    cr_assert_str_eq(listed("--key \xc3\xa4"), "4");
}

Test(cli_held, a_list_for_programs_has_no_limit_of_its_own)
{
    db_exec(db, "insert into outbox_held (id, message_id, routing_key, payload, created_at, state) "
                "select i, new_id(), '', '', from_now(0), 'dead' from " DB_SERIES("1", "60"));
    json_t *const array = held_json("held list --json", 0);
    cr_assert_eq(json_array_size(array), 60);
    json_decref(array);
    cr_assert_eq(cli("held list -c relay.conf"), 0);
    cr_assert_not_null(strstr(cli_stdout(), "\n60 messages: 60 dead\n10 more; use --limit\n"), "%s",
                       cli_stdout());
}

/* Promise: a list of any length is complete and in order, and needs little memory. */
Test(cli_held, a_long_list_is_printed_as_it_comes)
{
    db_exec(db, "insert into outbox_held (id, message_id, routing_key, payload, created_at, state, "
                "last_error) select i, new_id(), '', '', from_now(0), 'dead', repeat('x', 300) "
                "from " DB_SERIES("1", "100000"));
#ifndef __SANITIZE_ADDRESS__ /* its address space of terabytes would exceed the limit on memory */
    static const char few[] = "ulimit -v 150000;";
#else
    static const char few[] = "";
#endif
    char line[500];
    (void)snprintf(line, sizeof(line), "%s '%s' held list --json -c relay.conf > list", few,
                   OUTBOX_RELAY); /* fits */
    cr_assert_eq(system(line), 0);
    json_t *const array = json_load_file("list", 0, NULL);
    cr_assert_eq(json_array_size(array), 100000);
    for (size_t i = 0; i < 100000; i++) {
        const json_t *const id = json_object_get(json_array_get(array, i), "id");
        cr_assert_eq(json_integer_value(id), (json_int_t)i + 1);
    }
    json_decref(array);
    (void)snprintf(line, sizeof(line), "%s '%s' held list --limit 1234 -c relay.conf > list", few,
                   OUTBOX_RELAY); /* fits */
    cr_assert_eq(system(line), 0);
    cr_assert_eq(
        system("test \"$(grep -c ' dead ' list)\" = 1234 && test \"$(wc -l < list)\" = 1237"), 0);
}

static void
expect_text(const json_t *object, const char *name, const char *expected)
{
    const json_t *const value = json_object_get(object, name);
    cr_assert_not_null(value, "no \"%s\"", name);
    if (expected == NULL) {
        cr_assert(json_is_null(value), "\"%s\" is not null", name);
    } else {
        cr_assert_str_eq(json_string_value(value), expected, "%s", name);
    }
}

Test(cli_held, shows_a_message_to_programs)
{
    put_all();
    db_exec(db, "update outbox_held set exchange = '', content_type = 'application/json', "
                "headers = '{\"a\": [1, 2.5]}', payload = '{\"total\": 12}', "
                "created_at = as_time('2026-01-02 03:04:05.678'), \"key\" = 'größe' where id = 1");
    json_t *const array = held_json("held show --json 1", 0);
    const json_t *const shown = json_array_get(array, 0);
    cr_assert_eq(json_array_size(array), 1);
    expect_text(shown, "source", "orders");
    expect_text(shown, "message_id", HELD_UUID("01"));
    expect_text(shown, "state", "retrying");
    expect_text(shown, "last_error", "unroutable: no queue for \"paid\"");
    expect_text(shown, "key", "größe");
    expect_text(shown, "exchange", "");
    expect_text(shown, "routing_key", "paid");
    expect_text(shown, "content_type", "application/json");
    expect_text(shown, "created_at", "2026-01-02T03:04:05.678Z");
    expect_text(shown, "deliver_after", NULL);
    expect_text(shown, "payload", "{\"total\": 12}");
    cr_assert_eq(json_integer_value(json_object_get(shown, "attempts")), 3);
    cr_assert_eq(json_integer_value(json_object_get(shown, "payload_bytes")), 13);
    cr_assert_eq(json_array_size(json_object_get(json_object_get(shown, "headers"), "a")), 2);
    cr_assert_eq(json_array_size(json_object_get(shown, "acts")), 0);
    json_decref(array);
}

Test(cli_held, a_payload_that_is_no_text_is_base64_and_a_dump)
{
    put_all();
    db_exec(db, "update outbox_held set payload = unhex('1b5b33316d00ff4142434445464748494a4b') "
                "where id = 2");
    json_t *const array = held_json("held show --json 2", 0);
    const json_t *const shown = json_array_get(array, 0);
    expect_text(shown, "payload_base64", "G1szMW0A/0FCQ0RFRkdISUpL");
    cr_assert_null(json_object_get(shown, "payload"));
    expect_text(json_object_get(shown, "waits_behind"), "message_id", HELD_UUID("01"));
    json_decref(array);
    cr_assert_eq(cli("held show 2 -c relay.conf"), 0);
    cr_assert_not_null(
        strstr(cli_stdout(),
               "payload       18 bytes\n"
               "00000000  1b 5b 33 31 6d 00 ff 41 42 43 44 45 46 47 48 49  |.[31m..ABCDEFGHI|\n"
               "00000010  4a 4b                                            |JK|\n"),
        "%s", cli_stdout());
}

/* `text` without the line that begins with `word`, because that line has a time in it. */
static const char *
without(const char *text, const char *word)
{
    static char rest[8000];
    const char *const line = strstr(text, word);
    cr_assert_not_null(line, "no \"%s\" in:\n%s", word, text);
    const char *const end = strchr(line, '\n');
    (void)snprintf(rest, sizeof(rest), "%.*s%s", (int)(line - text), text, end + 1); /* fits */
    return rest;
}

Test(cli_held, shows_a_message_to_people)
{
    char said[8000];
    put_all();
    db_exec(db, "update outbox_held set headers = '{\"a\": 1, \"b\": \"x\\u001b\"}', "
                "payload = 'line\nline', created_at = as_time('2026-01-02 03:04:05.678'), "
                "content_type = '' where id = 1");
    cr_assert_eq(cli("held show " HELD_UUID("01") " -c relay.conf"), 0);
    (void)snprintf(said, sizeof(said), "%s", cli_stdout()); /* fits */
    cr_assert_not_null(strstr(said, "\nwritten       2026-01-02 03:04:05+00:00 ("), "%s", said);
    cr_assert_not_null(strstr(said, " (3 min ago)\n"), "%s", said);
    (void)snprintf(said, sizeof(said), "%s", without(said, "held since")); /* fits */
    cr_assert_str_eq(without(said, "written"),
                     "id            1\n"
                     "message id    00000000-0000-7000-8000-000000000001\n"
                     "state         retrying\n"
                     "attempts      3\n"
                     "next attempt  in 10 h\n"
                     "last error    unroutable: no queue for \"paid\"\n"
                     "key           order-1\n"
                     "type          order.paid\n"
                     "exchange      the default of the source\n"
                     "routing key   paid\n"
                     "content type  (empty)\n"
                     "behind it     1 message of its key\n"
                     "headers\n"
                     "  {\n"
                     "      \"a\": 1,\n"
                     "      \"b\": \"x\\u001b\"\n"
                     "  }\n"
                     "payload       9 bytes of text\n"
                     "line\nline\n",
                     "%s", said);
}

Test(cli_held, shows_behind_what_a_message_waits)
{
    put_all();
    held_put(db, 0, "order-1", "dead", "skipped = true");
    held_put(db, 3, "order-1", "waiting", NULL);
    cr_assert_eq(cli("held show 3 -c relay.conf"), 0);
    cr_assert_not_null(
        strstr(cli_stdout(),
               "\nwaits behind  id 1 (message 00000000-0000-7000-8000-000000000001), which is "
               "retrying: unroutable: no queue for \"paid\"\n"
               "before it     1 more that waits\n"),
        "%s", cli_stdout());
    db_exec(db, "delete from outbox_held where id = 1");
    cr_assert_eq(cli("held show 3 -c relay.conf"), 0);
    cr_assert_not_null(
        strstr(
            cli_stdout(),
            "\nwaits behind  no held message any more: a running relay moves it to the outbox\n"),
        "%s", cli_stdout());
}

/* Texts of an application or a broker must not control the operator's terminal. */
Test(cli_held, control_characters_do_nothing)
{
    held_put(db, 1, "k", "dead",
             "\"key\" = '\033]0;x\007', last_error = 'a\nb\033[2J\302\2331m', type = '\r'");
    held_expect(
        "held list", 0,
        "ID  MESSAGE ID                            KEY           TYPE  STATE  ATTEMPTS  NEXT  "
        "HELD FOR  LAST ERROR\n"
        " 1  00000000-0000-7000-8000-000000000001  \\x1b]0;x\\x07  \\x0d  dead          0  "
        "-     3 min     a\\nb\\x1b[2J\\x9b1m\n"
        "1 message: 1 dead\n",
        "");
    cr_assert_eq(cli("held show 1 -c relay.conf"), 0);
    cr_assert_null(strchr(cli_stdout(), '\x1b'));
}

Test(cli_held, a_list_fits_the_terminal)
{
    put_all();
    db_exec(db, "update outbox_held set last_error = repeat('ä', 300) where id = 1");
    cr_assert_eq(cli_on_terminal("held list -c relay.conf", 150, NULL), 0);
    const char *const row = strstr(cli_stdout(), "\n 1  ");
    cr_assert_not_null(row);
    const char *const end = strchr(row + 1, '\n');
    size_t columns = 0;
    for (const char *at = row + 1; at < end; at++) {
        columns += ((unsigned char)*at & 0xc0) != 0x80;
    }
    cr_assert_eq(columns, 150, "%zu columns:\n%s", columns, cli_stdout());
    cr_assert_eq(strncmp(end - 3, "…", 3), 0, "%s", cli_stdout());
}

Test(cli_held, says_of_an_id_that_it_is_not_held)
{
    held_expect("held show 99", 1, "",
                "no held message has the id 99; `outbox-relay explain 99` says where it is\n");
    held_expect("held show --json " HELD_UUID("99"), 1, "[]\n",
                "no held message has the id " HELD_UUID("99") "; `outbox-relay explain " HELD_UUID(
                    "99") "` says where it is\n");
}

Test(cli_held, wrong_usage)
{
    static const struct {
        const char *arguments;
        const char *said;
    } cases[] = {
        {"held", "outbox-relay held: which command?\nTry \"outbox-relay held --help\".\n"},
        {"held lst", "outbox-relay held: unknown command \"lst\"; did you mean \"list\"?\n"
                     "Try \"outbox-relay held --help\".\n"},
        {"held --hlp", "outbox-relay held: unknown option \"--hlp\"; did you mean \"--help\"?\n"
                       "Try \"outbox-relay held --help\".\n"},
        {"held list", "outbox-relay held list: which configuration? Name it by -c FILE\n"
                      "Try \"outbox-relay held list --help\".\n"},
        {"held list x", "outbox-relay held list: \"x\" is one word too many\n"
                        "Try \"outbox-relay held list --help\".\n"},
        {"held list --sate dead",
         "outbox-relay held list: unknown option \"--sate\"; did you mean \"--state\"?\n"
         "Try \"outbox-relay held list --help\".\n"},
        {"held list --state",
         "outbox-relay held list: --state needs a value\nTry \"outbox-relay held list --help\".\n"},
        {"held list --state deda",
         "outbox-relay held list: --state \"deda\": expected scheduled, retrying, waiting or dead; "
         "did you mean \"dead\"?\nTry \"outbox-relay held list --help\".\n"},
        {"held list --limit 1k", "outbox-relay held list: --limit \"1k\": expected a whole number\n"
                                 "Try \"outbox-relay held list --help\".\n"},
        {"held list --older-than 5",
         "outbox-relay held list: --older-than \"5\": expected a duration such as 30s, 5m, 2h, 1d\n"
         "Try \"outbox-relay held list --help\".\n"},
        {"held list --source ordres -c relay.conf",
         "outbox-relay held list: there is no source \"ordres\"; did you mean \"orders\"?\n"
         "Try \"outbox-relay held list --help\".\n"},
        {"held show -c relay.conf", "outbox-relay held show: which message? Name its id\n"
                                    "Try \"outbox-relay held show --help\".\n"},
        {"held show -c relay.conf 1 2", "outbox-relay held show: \"2\" is one word too many\n"
                                        "Try \"outbox-relay held show --help\".\n"},
        {"held show -c relay.conf x1",
         "outbox-relay held show: \"x1\" is neither the id of a row nor a message id\n"
         "Try \"outbox-relay held show --help\".\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const int got = cli(cases[i].arguments);
        cr_assert_str_eq(cli_stderr(), cases[i].said, "%s: %s", cases[i].arguments, cli_stderr());
        cr_assert_str_empty(cli_stdout());
        cr_assert_eq(got, 64);
    }
}

Test(cli_held, helps)
{
    static const char *const commands[] = {"held",         "held list", "held show", "held retry",
                                           "held discard", "status",    "explain"};
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        char arguments[64];
        char first[64];
        (void)snprintf(arguments, sizeof(arguments), "%s --help", commands[i]);      /* fits */
        (void)snprintf(first, sizeof(first), "usage: outbox-relay %s", commands[i]); /* fits */
        cr_assert_eq(cli(arguments), 0);
        cr_assert_eq(strncmp(cli_stdout(), first, strlen(first)), 0, "%s", cli_stdout());
    }
}

/* It fails with these words and the command to run, and prints nothing else. */
static void
expect_error(const char *command, const char *words)
{
    char arguments[200];
    (void)snprintf(arguments, sizeof(arguments), "%s -c relay.conf", command); /* fits */
    cr_assert_eq(cli(arguments), 1);
    cr_assert_str_empty(cli_stdout());
    cr_assert_eq(strncmp(cli_stderr(), "source \"orders\": ", 17), 0, "%s", cli_stderr());
    cr_assert_not_null(strstr(cli_stderr(), words), "%s", cli_stderr());
    cr_assert_not_null(strstr(cli_stderr(), "run `outbox-relay init`"), "%s", cli_stderr());
}

Test(cli_held, missing_tables)
{
    static const char *const commands[] = {
        "held list", "held show 1", "held retry 1", "held discard --yes 1", "status", "explain 1"};
    db_exec(db, "drop table outbox_held");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        expect_error(commands[i], "the tables for held messages and status are missing");
    }
    db_exec(db, "drop view outbox_new");
    db_exec(db, "drop table outbox");
    expect_error("held list", db_words_no_outbox());
}

Test(cli_held, tables_of_another_version)
{
    char expected[300];
    const int version = (int)db_int(db, "select version from outbox_relay_schema");
    db_exec(db, "update outbox_relay_schema set version = version + 1");
    (void)snprintf(expected, sizeof(expected),
                   "source \"orders\": the relay's tables have version %d, this command needs "
                   "version %d: use the outbox-relay that fits the tables\n",
                   version + 1, version); /* fits */
    held_expect("status", 1, "", expected);
    db_exec(db, "update outbox_relay_schema set version = version - 2");
    (void)snprintf(expected, sizeof(expected),
                   "source \"orders\": the relay's tables have version %d, this command needs "
                   "version %d: run `outbox-relay init`\n",
                   version - 1, version); /* fits */
    held_expect("status", 1, "", expected);
}

/* A source that cannot be reached does not hide the others. */
Test(cli_held, several_sources)
{
    put_all();
    cli_write("relay.conf",
              "broker main { uri = \"amqp://relay@h.invalid\" }\n"
              "source gone { kind = %s broker = main\n"
              "  dsn = \"host=127.0.0.1 port=1 dbname=shop user=shop password=hunter2\" }\n"
              "source orders { kind = %s dsn = \"%s\" broker = main }\n",
              db_kind(), db_kind(), db_dsn());
    cr_assert_eq(cli("held list --state waiting -c relay.conf"), 1);
    cr_assert_eq(strncmp(cli_stdout(), "source \"orders\"\nID", 18), 0, "%s", cli_stdout());
    cr_assert_eq(strncmp(cli_stderr(), "source \"gone\": ", 15), 0, "%s", cli_stderr());
    cr_assert_not_null(strstr(cli_stderr(), "connect"), "%s", cli_stderr());
    cr_assert_null(strstr(cli_stderr(), "hunter2"), "%s", cli_stderr());
    cr_assert_eq(cli("held list --source orders -c relay.conf"), 0);
    cr_assert_str_empty(cli_stderr());
}
