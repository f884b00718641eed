/* What `init` makes in MariaDB and MySQL, which commit each statement by itself: it continues where an earlier one
 * stopped, and restores what was dropped or altered. (For PostgreSQL, test_schema.c tests the latter.) */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "relay/mysql/init.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/outbox_mysql_fixture.h"
#include "tests/integration/report_fixture.h"
#include "tests/integration/source_mysql_fixture.h"

static MYSQL *db;
static struct source_config config;

static void
set_up(void)
{
    db = mysql_fixture_create();
    config = source_mysql_fixture_config(10 * CLOCK_S_US);
    config.mode = SOURCE_MODE_POLL;
}

static void
tear_down(void)
{
    free(config.dsn);
    mysql_fixture_drop(db);
}

TestSuite(init_mysql, .init = set_up, .fini = tear_down, .timeout = 120);

static void
run(const char *sql)
{
    mysql_fixture_exec(db, sql);
}

static int64_t
count(const char *sql)
{
    return mysql_fixture_int(db, sql);
}

/* Returns how many problems it reported. */
static size_t
init(void)
{
    struct report report = report_fixture_begin();
    init_mysql(&report, &config);
    return report.problems;
}

static void
expect(size_t problems, const char *word, const char *words)
{
    cr_assert_eq(init(), problems, "%s", report_fixture_lines());
    report_fixture_expect(word, words);
}

static void
expect_whole(void)
{
    expect(0, "ok", "source \"orders\": the tables are there already, nothing to do\n");
    report_fixture_expect_none("there again");
    run("insert into outbox (payload_text) values ('whole')");
    run("delete from outbox where payload = 'whole'");
    run("insert into outbox_new (payload_text, deliver_after) values ('later', utc_timestamp(6) + "
        "interval 1 day)");
    run("call outbox_cancel((select message_id from outbox where payload = 'later'), @cancelled)");
    cr_assert_eq(count("select @cancelled"), 1);
}

/* Writers may be in the middle of a transaction. */
Test(init_mysql, writers_go_on_while_the_tables_of_the_relay_are_made)
{
    MYSQL *writer = mysql_fixture_connect();
    outbox_mysql_fixture_load(db);
    mysql_fixture_exec(writer, "start transaction");
    mysql_fixture_exec(writer, "insert into outbox (payload) values ('x')");
    expect(0, "ok", "source \"orders\": migrated: the tables for held messages are there now");
    mysql_fixture_exec(writer, "insert into outbox (payload_text) values ('y')");
    mysql_fixture_exec(writer, "commit");
    cr_assert_eq(count("select count(*) from outbox"), 2);
    expect_whole();
    mysql_close(writer);
}

/* The server commits each statement, so an init that was killed has made some of the objects: the next one makes the
 * rest. */
Test(init_mysql, goes_on_where_one_before_it_ended)
{
    static const char *const undone[] = {
        "drop table outbox_relay_schema", "delete from outbox_relay_schema",
        "drop table outbox_schema",       "delete from outbox_schema",
        "drop table outbox_held",         "drop procedure outbox_cancel",
        "drop view outbox_new",           "drop trigger outbox_payload",
    };
    cr_assert_eq(init(), 0);
    for (size_t i = 0; i < sizeof(undone) / sizeof(undone[0]); i++) {
        run(undone[i]);
        cr_assert_eq(init(), 0, "%s", report_fixture_lines());
        report_fixture_expect_none("problem");
        expect_whole();
    }
}

/* Drops or alters one object by `sql`, and expects that init restores it and says so. */
static void
expect_put_back(const char *sql, const char *what, const char *state)
{
    char words[300];
    run(sql);
    (void)snprintf(words, sizeof(words), "source \"orders\": %s was %s, and is there again\n", what,
                   state); /* fits */
    expect(0, "ok", words);
    report_fixture_expect("ok", "the tables were there already, and are now as they were made");
    expect_whole();
}

Test(init_mysql, puts_back_what_was_dropped)
{
    cr_assert_eq(init(), 0);
    expect_put_back("drop trigger outbox_payload", "the trigger outbox_payload", "missing");
    expect_put_back("drop view outbox_new", "the view outbox_new", "missing");
    expect_put_back("drop procedure outbox_cancel", "the procedure outbox_cancel", "missing");
    expect_put_back("alter table outbox drop constraint outbox_key_1024_bytes",
                    "the constraint outbox_key_1024_bytes of outbox", "missing");
    expect_put_back("alter table outbox_held drop constraint outbox_held_state",
                    "the constraint outbox_held_state of outbox_held", "missing");
    expect_put_back("drop index outbox_held_due on outbox_held",
                    "the index outbox_held_due of outbox_held", "missing");
    expect_put_back("drop table outbox_sent_batch", "the table outbox_sent_batch", "missing");
    cr_assert_neq(mysql_fixture_try(db, "insert into outbox (payload, `key`) values ('', "
                                        "repeat('x', 1025))"),
                  0);
}

Test(init_mysql, puts_back_what_was_altered)
{
    cr_assert_eq(init(), 0);
    run("drop trigger outbox_payload");
    expect_put_back("create trigger outbox_payload before insert on outbox for each row begin end",
                    "the trigger outbox_payload", "altered");
    run("drop view outbox_new");
    expect_put_back("create view outbox_new as select id, payload_text from outbox where id > 5",
                    "the view outbox_new", "altered");
    run("drop procedure outbox_cancel");
    expect_put_back("create procedure outbox_cancel(message varbinary(37), out cancelled boolean) "
                    "begin set cancelled = true; end",
                    "the procedure outbox_cancel", "altered");
    run("drop index outbox_held_due on outbox_held");
    expect_put_back("create index outbox_held_due on outbox_held (state, id)",
                    "the index outbox_held_due of outbox_held", "altered");
    if (!mysql_fixture_is_mariadb(db)) { /* which has no constraint that is not enforced */
        expect_put_back("alter table outbox alter check outbox_key_1024_bytes not enforced",
                        "the constraint outbox_key_1024_bytes of outbox", "disabled");
    }
}

static void
be_user(const char *rights)
{
    mysql_fixture_grant(db, rights, "*");
    free(config.dsn);
    config = source_mysql_fixture_config_as_user(10 * CLOCK_S_US);
    config.mode = SOURCE_MODE_POLL;
}

/* As on managed servers: the owner of a database has no server-wide privilege. A setting of the server, which other
 * tests share, decides whether the owner may create the trigger. */
Test(init_mysql, an_owner_without_super_makes_all_that_he_may)
{
    const bool trusted = count("select @@log_bin_trust_function_creators") == 1;
    const char *const advice = "the trigger outbox_payload is not there, so bodies can be given as "
                               "`payload` alone, and ids as 16 bytes: the server has a binary log";
    be_user("all");
    expect(0, "ok", "tables created");
    run("insert into outbox (payload) values ('x')");
    if (trusted) {
        report_fixture_expect_none("advice");
        expect_whole();
    } else {
        report_fixture_expect("advice", advice);
        expect(0, "ok", "the tables were there already");
        report_fixture_expect("advice", "log_bin_trust_function_creators = 1");
    }
}

/* Promise: a log that cannot be read is a problem for mode = tail, and advice for mode = auto, which polls meanwhile. */
Test(init_mysql, columns_of_which_the_log_has_no_utf_8)
{
    cr_assert_eq(init(), 0);
    run("alter table outbox modify type varchar(256) character set latin1");
    config.mode = SOURCE_MODE_TAIL;
    expect(1, "problem", "column \"type\" of table outbox is not in utf8mb4");
    config.mode = SOURCE_MODE_AUTO;
    expect(0, "advice", "column \"type\" of table outbox is not in utf8mb4");
    report_fixture_expect("ok", "until then it polls the table");
}
