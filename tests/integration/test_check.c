/* What `check` says about databases of both kinds and about the broker. What it says about one kind alone:
 * test_check_postgres.c, test_check_mysql.c. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/check_fixture.h"
#include "tests/integration/cli_fixture.h"

#define PROBLEM CHECK_PROBLEM
#define ADVICE CHECK_ADVICE
#define OK CHECK_OK

TestSuite(check, .init = check_set_up, .fini = check_tear_down, .timeout = 120);

static void
run(const char *sql)
{
    db_exec(check_scene.db, sql);
}

/* ---- the tables ----------------------------------------------------------------------------------------- */

/* Promise: `check` lists everything that it looked at, and says that all is well. */
Test(check, all_good)
{
    check_expect_good();
    check_expect_ok(check_words(CHECK_WORDS_GOOD));
    check_expect_ok(OK "exchange \"amq.topic\" is there\n");
}

Test(check, no_tables)
{
    run("drop table outbox, outbox_schema cascade");
    check_expect(PROBLEM "%s\n", check_words(CHECK_WORDS_NO_TABLES));
}

Test(check, a_table_of_somebody_else)
{
    run("drop table outbox, outbox_schema cascade");
    run("create table outbox (id int primary key)");
    check_expect(PROBLEM "there is a table \"outbox\" or \"outbox_schema\" that `outbox-relay "
                         "init` has not made: rename it, or %s\n",
                 check_words(CHECK_WORDS_FOREIGN));
}

Test(check, another_version)
{
    run("update outbox_schema set version = 7");
    check_expect(PROBLEM "the outbox tables have version 7, this relay needs version 1: use the "
                         "relay that fits the tables\n");
}

Test(check, an_outbox_without_the_tables_of_a_relay)
{
    run("drop table outbox_held, outbox_held_act, outbox_relay, outbox_sent_batch, "
        "outbox_relay_schema");
    check_expect(PROBLEM "there are no tables for held messages: run `outbox-relay init`, which "
                         "adds them %s\n",
                 check_words(CHECK_WORDS_NO_HELD));
}

Test(check, another_version_of_the_relays_tables)
{
    run("update outbox_relay_schema set version = 9");
    check_expect(PROBLEM "the tables for held messages have version 9, this relay needs version "
                         "%s: use the relay that fits the tables\n",
                 check_words(CHECK_WORDS_HELD_VERSION));
}

Test(check, a_limit_that_was_dropped)
{
    run("alter table outbox drop constraint outbox_key_1024_bytes");
    check_expect(PROBLEM "%s\n", check_words(CHECK_WORDS_NO_LIMIT));
}

/* The statement that it recommends solves the problem. */
Test(check, a_column_that_is_missing)
{
    const char *const remedy = check_words(CHECK_WORDS_NO_COLUMN);
    run("alter table outbox_held drop column headers");
    check_expect(PROBLEM "column headers of %soutbox_held is missing: %s\n",
                 check_words(CHECK_WORDS_PLACE), remedy);
    run(remedy);
    check_expect_good();
}

Test(check, columns_that_others_have_added)
{
    char line[200];
    run("alter table outbox add tenant int not null, add \"a b\" text");
    check_expect_good();
    (void)snprintf(line, sizeof(line),
                   OK "what the outbox has in columns of your own (%s) goes along with messages "
                      "that are set aside\n",
                   check_words(CHECK_WORDS_ADDED)); /* fits */
    check_expect_ok(line);
}

/* A column that only outbox_held has gets no value from a message. */
Test(check, a_column_that_nothing_gives_a_value)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "alter table outbox_held add tenant int not null, add nothing int, add twice %s",
                   check_words(CHECK_WORDS_COMPUTED)); /* fits */
    run(sql);
    check_expect(PROBLEM "no message can be set aside: none has a value for %s\n",
                 check_words(CHECK_WORDS_NO_VALUE));
}

/* ---- the role ------------------------------------------------------------------------------------------- */

/* `check` and the relay must demand the same rights. */
Test(check, remembering_what_was_sent_needs_more)
{
    db_revoke(check_scene.db, check_scene.role, "delete", "outbox_sent_batch");
    check_configure(CHECK_POLL " keep_sent = 0");
    cr_assert_eq(cli("check -c relay.conf"), 0, "%s", cli_stdout());
    check_configure(CHECK_POLL);
    check_expect(PROBLEM "%s\n", check_words(CHECK_WORDS_SENT));
}

Test(check, a_role_with_too_few_privileges)
{
    db_revoke(check_scene.db, check_scene.role, "delete", "outbox");
    db_revoke(check_scene.db, check_scene.role, "update", "outbox_held");
    check_expect("%s", check_words(CHECK_WORDS_DELETE));
}

/* ---- the log -------------------------------------------------------------------------------------------- */

Test(check, the_log_can_be_read)
{
    check_let_read_log();
    check_configure("mode = tail exchange = \"amq.topic\"");
    cr_assert_eq(cli("check -c relay.conf"), 0, "%s", cli_stdout());
    cr_assert_not_null(strstr(cli_stdout(), check_words(CHECK_WORDS_LOG)), "%s", cli_stdout());
    check_configure(CHECK_POLL);
    cr_assert_eq(cli("check -c relay.conf"), 0, "%s", cli_stdout());
    cr_assert_null(strstr(cli_stdout(), " log "), "%s", cli_stdout());
}

/* It is advice if the relay may poll instead; without polling the relay could not start. */
Test(check, a_log_that_the_role_may_not_read)
{
    const char *const words = check_words(CHECK_WORDS_LOG_DENIED);
    db_load_log(check_scene.db);
    check_configure("mode = auto exchange = \"amq.topic\"");
    check_expect(ADVICE "%s\n", words);
    check_expect_ok(OK "until then it polls the table\n");
    check_configure("mode = tail exchange = \"amq.topic\"");
    check_expect(PROBLEM "%s\n", words);
}

/* ---- the servers ---------------------------------------------------------------------------------------- */

Test(check, the_default_exchange_needs_no_look)
{
    check_configure("mode = poll exchange = \"\"");
    check_expect_good();
    check_expect_ok(OK "default exchange is AMQP's, which is always there\n");
}

Test(check, an_exchange_that_is_not_there)
{
    check_configure("mode = poll exchange = nowhere");
    check_expect(PROBLEM "exchange \"nowhere\": NOT_FOUND - no exchange 'nowhere' in vhost '/'; "
                         "declare it on the broker or name another\n");
}

Test(check, servers_that_are_not_there)
{
    char begin[300];
    (void)snprintf(begin, sizeof(begin), PROBLEM "%s", check_words(CHECK_WORDS_REFUSED)); /* fits */
    cli_write("relay.conf",
              "broker main { uri = \"amqp://u:hunter2@127.0.0.1:1/\" }\n"
              "source orders { kind = %s broker = main\n"
              "  dsn = \"host=127.0.0.1 port=1 user=u dbname=shop password=hunter2\" }\n",
              db_kind());
    cr_assert_eq(cli("check -c relay.conf"), 1);
    cr_assert_eq(strncmp(cli_stdout(), begin, strlen(begin)), 0, "%s", cli_stdout());
    const char *const rest = strstr(cli_stdout(), "; see that");
    cr_assert_not_null(rest);
    cr_assert_str_eq(rest,
                     "; see that the server runs, listens there and lets this user in\n"
                     "problem  broker \"main\": 127.0.0.1:1: Connection refused; see that it runs "
                     "and listens there\n"
                     "2 problems\n");
}

Test(check, credentials_that_are_wrong)
{
    cli_write("relay.conf",
              "broker main { uri = \"amqp://guest:hunter2@%s:%s/\" }\n"
              "source orders { kind = %s broker = main dsn = \"%s user=%s password=hunter2\" }\n",
              getenv("OUTBOX_TEST_AMQP_HOST"), getenv("OUTBOX_TEST_AMQP_PORT"), db_kind(), db_dsn(),
              check_scene.role);
    cr_assert_eq(cli("check -c relay.conf"), 1);
    cr_assert_not_null(strstr(cli_stdout(), check_words(CHECK_WORDS_DENIED)), "%s", cli_stdout());
    cr_assert_not_null(strstr(cli_stdout(), "see that user and password are right"), "%s",
                       cli_stdout());
    cr_assert_null(strstr(cli_stdout(), "hunter2"), "%s", cli_stdout());
}

/* Promise: a server's text, whoever chose it, cannot move the terminal's cursor or look like a line of `check`. */
Test(check, words_of_a_server_stay_words)
{
    check_configure("mode = poll exchange = \"x\\nok       forged\x1b[2J\"");
    cr_assert_eq(cli("check -c relay.conf"), 1);
    cr_assert_null(strchr(cli_stdout(), '\x1b'), "%s", cli_stdout());
    cr_assert_null(strstr(cli_stdout(), "\nok       forged"), "%s", cli_stdout());
    cr_assert_not_null(strstr(cli_stdout(), "exchange \"x\\nok       forged\\x1b[2J\""), "%s",
                       cli_stdout());
}
