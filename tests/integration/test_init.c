/* What `init` makes in both kinds of database. What it makes in one kind alone: test_init_postgres.c, test_schema.c,
 * test_init_mysql.c. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/init_fixture.h"

#define PROBLEM INIT_PROBLEM
#define OK INIT_OK

TestSuite(init, .init = init_set_up, .fini = init_tear_down, .timeout = 240);

static void
run(const char *sql)
{
    db_exec(init_db, sql);
}

static int64_t
count(const char *table)
{
    char sql[100];
    (void)snprintf(sql, sizeof(sql), "select count(*) from %s", table); /* fits */
    return db_int(init_db, sql);
}

/* Everything that writers and the relay use is there. */
static void
expect_whole(void)
{
    init_expect(0, INIT_THERE);
    run("insert into outbox (payload_text) values ('whole')");
    cr_assert(db_holds(init_db, "select count(*) = 1 from outbox where payload = bytes('whole')"));
    run("delete from outbox where payload = bytes('whole')");
    run("insert into outbox_new (payload_text, deliver_after) values ('later', from_now(86400))");
    cr_assert(db_cancel(init_db, db_text(init_db, "select id_text(message_id) from outbox where "
                                                  "payload = bytes('later')")));
    cr_assert_eq(count("outbox_held"), 0);
}

/* ---- making --------------------------------------------------------------------------------------------- */

Test(init, creates_once)
{
    const char *const version = init_words(INIT_WORDS_VERSION);
    init_expect(0, "%s", init_words(INIT_WORDS_CREATED));
    run("insert into outbox (payload_text) values ('x')");
    expect_whole();
    cr_assert_eq(count("outbox"), 1, "what was there stays");
    cr_assert_eq(db_int(init_db, "select version from outbox_schema"), 1);
    cr_assert_str_eq(db_text(init_db, "select version from outbox_relay_schema"), version);
}

Test(init, an_outbox_without_a_relay_gets_its_tables_while_writers_go_on)
{
    struct db *writer = db_connect();
    db_load_outbox_alone(init_db);
    db_exec(writer, "insert into outbox (payload) values (bytes('x'))");
    init_expect(0, "%s", init_words(INIT_WORDS_MIGRATED));
    db_exec(writer, "insert into outbox (payload) values (bytes('y'))");
    cr_assert_eq(count("outbox"), 2);
    expect_whole();
    db_close(writer);
}

Test(init, many_at_a_time_create_one)
{
    enum { COUNT = 8 };
    pid_t processes[COUNT];
    for (int i = 0; i < COUNT; i++) {
        processes[i] = cli_start("init -c relay.conf");
    }
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(cli_wait(processes[i]), 0);
    }
    cr_assert_eq(count("outbox_schema"), 1);
    expect_whole();
}

static void
expect_put_back(const char *what)
{
    char line[200];
    cr_assert_eq(cli("init -c relay.conf"), 0, "%s", cli_stdout());
    (void)snprintf(line, sizeof(line), OK "%s was missing, and is there again\n", what); /* fits */
    cr_assert_not_null(strstr(cli_stdout(), line), "%s", cli_stdout());
    cr_assert_not_null(strstr(cli_stdout(), INIT_REPAIRED), "%s", cli_stdout());
}

/* Writers wait for init only briefly, and then go on. */
Test(init, somebody_who_keeps_the_outbox_locked_is_not_waited_for_long)
{
    struct db *other = db_connect();
    struct db *writer = db_connect();
    db_load_outbox(init_db);
    run("alter table outbox drop constraint outbox_key_1024_bytes");
    run("drop view outbox_new");
    db_exec(other, "begin");
    db_exec(other, "insert into outbox (payload_text) values ('open')");
    const uint64_t before_us = clock_monotonic_us();
    init_expect(1, PROBLEM "a transaction that is open keeps a table locked%s\n",
                init_words(INIT_WORDS_LOCKED));
    cr_assert_lt(clock_monotonic_us() - before_us, 60 * CLOCK_S_US, "not as long as for others");
    db_exec(writer, "insert into outbox (payload_text) values ('x')");
    cr_assert_not(db_try(init_db, "select 1 from outbox_new"), "all that is lacking comes later");
    db_exec(other, "commit");
    expect_put_back(init_words(INIT_WORDS_LIMIT));
    expect_whole();
    db_close(writer);
    db_close(other);
}

/* ---- by hand -------------------------------------------------------------------------------------------- */

static const char *
printed(void)
{
    char arguments[50];
    (void)snprintf(arguments, sizeof(arguments), "init --print --kind %s", db_kind()); /* fits */
    cr_assert_eq(cli(arguments), 0);
    return cli_stdout();
}

Test(init, printed_sql_does_the_same)
{
    init_run_printed(printed());
    expect_whole();
}

Test(init, the_second_part_of_the_printed_sql_migrates)
{
    static char sql[131072];
    db_load_outbox_alone(init_db);
    const char *const second = strstr(printed(), "-- What only relays use");
    cr_assert_not_null(second);
    (void)snprintf(sql, sizeof(sql), "%s%s", init_words(INIT_WORDS_SECOND_PART), second); /* fits */
    init_run_printed(sql);
    expect_whole();
}

/* ---- what it refuses ------------------------------------------------------------------------------------ */

static void
expect_refusal(const char *table, const char *version, const char *known)
{
    char sql[100];
    (void)snprintf(sql, sizeof(sql), "update %s set version = %s", table, version); /* fits */
    run(sql);
    init_expect(1,
                PROBLEM "the tables there have version %s, this relay makes version %s: nothing "
                        "was changed; use the relay that fits the tables\n",
                version, known);
    cr_assert_not(db_try(init_db, "select 1 from outbox_new"), "nothing was changed");
}

Test(init, refuses_another_version)
{
    db_load_outbox(init_db);
    run("drop view outbox_new");
    expect_refusal("outbox_relay_schema", "4", init_words(INIT_WORDS_VERSION));
    expect_refusal("outbox_schema", "7", "1");
}

Test(init, refuses_a_table_that_is_somebody_elses)
{
    static const char *const names[] = {"outbox", "outbox_schema"};
    for (size_t i = 0; i < 2; i++) {
        char sql[100];
        (void)snprintf(sql, sizeof(sql), "create table %s (id int)", names[i]); /* fits */
        run(sql);
        init_expect(1,
                    PROBLEM "there is a table \"outbox\" or \"outbox_schema\" that init has not "
                            "made: rename it, or %s\n",
                    init_words(INIT_WORDS_FOREIGN));
        cr_assert_not(db_try(init_db, "select 1 from outbox_held"), "nothing was made");
        (void)snprintf(sql, sizeof(sql), "drop table %s", names[i]); /* fits */
        run(sql);
    }
}

Test(init, says_who_must_run_it)
{
    char account[40];
    (void)snprintf(account, sizeof(account), "init_%ld", (long)getpid()); /* fits */
    db_load_outbox(init_db);
    run("drop view outbox_new");
    db_create_user(init_db, account, "pw");
    db_grant_relay(init_db, account);
    init_configure_as(account, "mode = poll");
    cr_assert_eq(cli("init -c relay.conf"), 1);
    cr_assert_not_null(strstr(cli_stdout(), init_words(INIT_WORDS_MAY_NOT)), "%s", cli_stdout());
    db_drop_user(init_db, account);
}

/* ---- the log -------------------------------------------------------------------------------------------- */

/* Promise: with a mode that reads the log, init says who can read it; with mode = poll it does not mention the log. */
Test(init, the_log)
{
    init_configure("mode = tail");
    init_expect(0, "%s%s", init_words(INIT_WORDS_CREATED), init_words(INIT_WORDS_LOG));
    init_expect(0, INIT_THERE "%s", init_words(INIT_WORDS_LOG));
    init_configure("mode = poll");
    init_expect(0, INIT_THERE);
}
