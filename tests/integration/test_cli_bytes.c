/* What an operator sees of texts that are not valid UTF-8, in databases whose encodings allow them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/cli_fixture.h"
#include "tests/integration/db_fixture_pg.h"
#include "tests/integration/held_fixture.h"
#include "tests/integration/pg_fixture.h"

static struct db *db;
static struct db *other;

static void
set_up(void)
{
    db = held_fixture_create();
}

static void
tear_down(void)
{
    char sql[200];
    db_close(other);
    (void)snprintf(sql, sizeof(sql), "drop database if exists %s_other",
                   pg_fixture_database()); /* fits */
    db_exec(db, sql);
    held_fixture_drop(db);
}

TestSuite(cli_bytes, .init = set_up, .fini = tear_down, .timeout = 120);

static void
use_encoding(const char *encoding)
{
    char text[2000];
    (void)snprintf(text, sizeof(text),
                   "create database %s_other template template0 encoding '%s' lc_collate 'C' "
                   "lc_ctype 'C'",
                   pg_fixture_database(), encoding); /* fits */
    db_exec(db, text);
    (void)snprintf(text, sizeof(text), "%s dbname=%s_other client_encoding=UTF8", pg_fixture_dsn(),
                   pg_fixture_database()); /* fits */
    PGconn *const conn = PQconnectdb(text);
    other = db_of_pg(conn);
    db_load_outbox(other);
    cr_assert_eq(PQsetClientEncoding(conn, encoding), 0);
    cli_write("relay.conf",
              "broker main { uri = \"amqp://relay@h.invalid\" }\n"
              "source orders { kind = postgres dsn = \"%s dbname=%s_other\" broker = main }\n",
              pg_fixture_dsn(), pg_fixture_database());
}

static void
expect(const char *arguments, const char *words)
{
    cr_assert_eq(cli(arguments), 0, "%s: %s", arguments, cli_stderr());
    cr_assert_not_null(strstr(cli_stdout(), words), "%s: %s", arguments, cli_stdout());
}

static const char *
text_of(const json_t *list, size_t at, const char *name)
{
    return json_string_value(json_object_get(json_array_get(list, at), name));
}

Test(cli_bytes, one_bad_row_does_not_hide_the_others)
{
    use_encoding("SQL_ASCII");
    held_put(other, 1, "\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87", "dead", NULL);
    held_put(other, 2, "k", "dead", "key = E'k\\xff'");
    held_put(other, 3, "k3", "dead",
             "last_error = E'caf\\xe9', headers = '{\"a\": \"\xe9\"}', type = "
             "E'\\xd0' || repeat('x', 70000)");
    held_put(other, 4, "k", "waiting", "key = E'k\\xff'");
    expect("held list -c relay.conf", "4 messages: 1 waiting, 3 dead");
    expect("held list -c relay.conf", "k\\xff");
    expect("held list -c relay.conf", "caf\\xe9");
    expect("held list -c relay.conf", "\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87");
    json_t *const list = held_json("held list --json", 0);
    cr_assert_eq(json_array_size(list), 4);
    cr_assert_str_eq(text_of(list, 0, "key"), "\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87");
    cr_assert_str_eq(text_of(list, 1, "key"), "k\\xff");
    cr_assert_str_eq(text_of(list, 2, "last_error"), "caf\\xe9");
    json_decref(list);
    expect("held show 2 -c relay.conf", "k\\xff");
    expect("held show 3 -c relay.conf", "\\xe9");
    json_decref(held_json("held show 3 --json", 0));
    expect("explain 4 -c relay.conf", "k\\xff");
    json_decref(held_json("explain 4 --json", 0));
    expect("held retry 2 -c relay.conf", "1 message is tried again");
}

/* Some characters of this encoding do not exist in UTF-8: each such row is found, and the other rows are shown as
 * usual. */
Test(cli_bytes, characters_that_utf8_has_not)
{
    static const char bad[] = "routing_key = convert_from('\\xfefe', 'EUC_JP'), key = 'k\\'";
    static const char good[] = "key = convert_from('\\xa4a2', 'EUC_JP')";
    use_encoding("EUC_JP");
    for (int id = 1; id <= 40; id++) {
        const bool is_bad = id == 1 || id == 20 || id == 21 || id == 40;
        held_put(other, id, "k", id == 40 ? "waiting" : "dead", is_bad ? bad : good);
    }
    json_t *const list = held_json("held list --json", 0);
    cr_assert_eq(json_array_size(list), 40);
    for (int id = 1; id <= 40; id++) {
        const bool is_bad = id == 1 || id == 20 || id == 21 || id == 40;
        const size_t at = (size_t)id - 1;
        cr_assert_eq(json_integer_value(json_object_get(json_array_get(list, at), "id")), id);
        cr_assert_str_eq(text_of(list, at, "key"), is_bad ? "k\\\\" : "\xe3\x81\x82");
        cr_assert_str_eq(text_of(list, at, "routing_key"), is_bad ? "\\376\\376" : "paid");
    }
    json_decref(list);
    expect("held list -c relay.conf", "40 messages: 1 waiting, 39 dead");
    expect("held list --limit 30 -c relay.conf", "10 more");
    expect("held list --key \xe3\x81\x82 -c relay.conf", "36 messages: 36 dead");
    expect("held show 20 -c relay.conf", "\\376\\376");
    expect("explain 40 -c relay.conf", "Which one is not known");
    expect("held discard --all --yes -c relay.conf", "40 messages are discarded");
    db_exec(
        other,
        "insert into outbox (id, message_id, routing_key, key, payload) overriding system value "
        "values (77, '00000000-0000-0000-0000-000000000077', 'paid', convert_from('\\xfefe', "
        "'EUC_JP'), 'x')");
    expect("explain 77 -c relay.conf", "It is in the outbox");
    expect("explain 00000000-0000-0000-0000-000000000077 -c relay.conf", "do not exist in UTF-8");
    json_decref(held_json("explain 77 --json", 0));
}
