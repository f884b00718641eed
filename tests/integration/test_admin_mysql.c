/* What operators are told about writers in MariaDB and MySQL, which have their own rights and names. What is the same
 * in both kinds of database: tests/integration/test_cli_*.c. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/mysql/admin.h"
#include "relay/mysql/log_end.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/outbox_mysql_fixture.h"

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

static struct admin_findings
explained(struct admin *admin, const char *text)
{
    struct admin_name name;
    struct admin_findings findings;
    cr_assert(admin_name_parse(text, &name));
    cr_assert(admin_explain(admin, &name, &findings, &error), "%s", error.text);
    return findings;
}

/* The only writer that has a session; NULL: none. Other tests may have prepared transactions in this server. */
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

/* What an account sees depends on its rights: in MySQL the locks of others, in MariaDB since when a transaction is open. */
Test(admin_mysql, what_the_account_may_not_see_is_not_told)
{
    static const char *const tables[] = {
        "outbox",       "outbox_held",       "outbox_held_act",
        "outbox_relay", "outbox_sent_batch", "outbox_relay_schema"};
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
    (void)snprintf(sql, sizeof(sql), "select count(*) from " MYSQL_SESSIONS " where id = %lu",
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

/* ---- the log ---- */

static uint64_t
behind(struct admin *admin, log_position position)
{
    bool known;
    uint64_t bytes;
    cr_assert(admin_log_behind(admin, position, &known, &bytes, &error), "%s", error.text);
    cr_assert(known);
    return bytes;
}

static void
write_megabyte(void)
{
    exec("insert into outbox (payload) values (repeat('x', 1000000))");
}

/* Other tests write to this server's log as well, and begin new files of it. */
Test(admin_mysql, how_far_a_place_is_from_the_end_of_the_log)
{
    struct my_log_end end;
    bool known;
    uint64_t bytes;
    struct admin *const admin = opened();
    cr_assert(my_log_end_ask(my_admin_session(admin), NULL, &end));
    cr_assert_gt(end.position, 0);
    write_megabyte();
    const uint64_t near = behind(admin, end.position);
    cr_assert_geq(near, 1000000);
    exec("flush binary logs");
    write_megabyte();
    exec("flush binary logs");
    write_megabyte();
    const uint64_t far = behind(admin, end.position);
    cr_assert_geq(far, 3000000, "%llu", (unsigned long long)far);
    cr_assert_gt(far, near);
    cr_assert(my_log_end_ask(my_admin_session(admin), NULL, &end));
    cr_assert_lt(behind(admin, end.position), far);
    cr_assert(admin_log_behind(admin, my_position_at(1, 4), &known, &bytes, &error));
    cr_assert_not(known, "a file that the log does not have");
    cr_assert(
        admin_log_behind(admin, my_position_at(end.position, UINT32_MAX), &known, &bytes, &error));
    cr_assert_not(known, "a log that was begun anew");
    admin_close(admin);
}
