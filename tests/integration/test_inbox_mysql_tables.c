#include <criterion/criterion.h>
#include <inbox/inbox_mysql.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/mysql_fixture.h"

/* The tables in other forms: which are refused, what is forgotten in them, and which rights they take. */
static MYSQL *tx;
static inbox_mysql *inbox;
static struct inbox_error error;

static void
set_up(void)
{
    tx = mysql_fixture_create();
    mysql_fixture_load(tx, "consumers/mysql/schema.sql");
    cr_assert_eq(inbox_mysql_new(tx, &inbox, &error), INBOX_OK, "%s", error.message);
}

static void
tear_down(void)
{
    inbox_mysql_free(inbox);
    mysql_fixture_drop(tx);
}

TestSuite(inbox_mysql_tables, .init = set_up, .fini = tear_down, .timeout = 120);

static void
expect_verdict(MYSQL *conn, const char *consumer, const char *id, inbox_verdict wanted)
{
    inbox_verdict verdict = 0;
    cr_assert_eq(inbox_mysql_claim(inbox, conn, consumer, id, strlen(id), &verdict, &error),
                 INBOX_OK, "%s", error.message);
    cr_assert_eq(verdict, wanted, "%s %s", consumer, id);
}

static void
expect_error(inbox_result code, const char *sqlstate, const char *words)
{
    cr_assert_eq(error.code, code, "%s: %s", inbox_result_name(error.code), error.message);
    cr_assert_str_eq(error.sqlstate, sqlstate, "%s", error.message);
    cr_assert(strstr(error.message, words) != NULL, "no \"%s\" in: %s", words, error.message);
}

static int64_t
count_rows(void)
{
    return mysql_fixture_int(tx, "select count(*) from inbox");
}

static void
expect_no_inbox(const char *words)
{
    inbox_mysql *another = NULL;
    cr_assert_eq(inbox_mysql_new(tx, &another, &error), INBOX_SCHEMA, "%s", error.message);
    cr_assert_null(another);
    cr_assert(strstr(error.message, words) != NULL, "no \"%s\" in: %s", words, error.message);
    cr_assert_lt(strlen(error.message) + 1, sizeof(error.message), "cut: %s", error.message);
}

static void
expect_inbox(void)
{
    inbox_mysql *another = NULL;
    cr_assert_eq(inbox_mysql_new(tx, &another, &error), INBOX_OK, "%s", error.message);
    inbox_mysql_free(another);
}

Test(inbox_mysql_tables, a_table_that_guards_no_id_is_refused)
{
    mysql_fixture_exec(tx, "alter table inbox engine = MyISAM");
    expect_no_inbox("has no transactions");
    mysql_fixture_exec(tx, "alter table inbox engine = InnoDB, drop primary key");
    expect_no_inbox("primary key of inbox is ()");
    mysql_fixture_exec(tx, "alter table inbox add primary key (consumer, message_id, seen_at)");
    expect_no_inbox("(consumer, message_id, seen_at)");
    mysql_fixture_exec(tx, "alter table inbox partition by range columns (seen_at) "
                           "(partition all_of_it values less than (maxvalue))");
    expect_no_inbox("not by time");
    mysql_fixture_exec(tx, "alter table inbox remove partitioning");
    mysql_fixture_exec(tx, "alter table inbox drop primary key, "
                           "add primary key (consumer, message_id(3))");
    expect_no_inbox("(consumer, message_id(3))");
    mysql_fixture_exec(tx, "alter table inbox drop primary key, "
                           "add primary key (message_id, consumer)");
    expect_inbox();
}

/* 'a', 'A' and 'a ' would be one name, or names would be cut. */
Test(inbox_mysql_tables, columns_that_take_two_names_for_one_are_refused)
{
    static const char *const types[] = {
        "varchar(255) character set utf8mb4 collate utf8mb4_general_ci",
        "varchar(255) character set utf8mb4 collate utf8mb4_bin", "binary(255)", "varbinary(254)"};
    for (int i = 0; i < 4; i++) {
        char sql[256];
        (void)snprintf(sql, sizeof(sql), "alter table inbox modify message_id %s not null",
                       types[i]);
        mysql_fixture_exec(tx, sql);
        expect_no_inbox("varbinary(255)");
    }
    mysql_fixture_exec(tx, "alter table inbox modify message_id varbinary(300) not null");
    expect_inbox();
    mysql_fixture_exec(tx, "drop table inbox");
    expect_no_inbox("no table inbox");
}

Test(inbox_mysql_tables, tables_must_be_there_and_of_this_version)
{
    mysql_fixture_exec(tx, "update inbox_schema set version = 7");
    expect_no_inbox("version 7");
    mysql_fixture_exec(tx, "drop table inbox_schema");
    expect_no_inbox("schema.sql");
    MYSQL *nowhere = mysql_fixture_connect_nowhere();
    inbox_mysql *another = NULL;
    cr_assert_eq(inbox_mysql_new(nowhere, &another, &error), INBOX_SCHEMA);
    expect_error(INBOX_SCHEMA, "", "no default database");
    mysql_close(nowhere);
}

static void
forget_and_expect(uint64_t age_s, uint32_t limit, uint64_t wanted)
{
    uint64_t forgotten = UINT64_MAX;
    cr_assert_eq(inbox_mysql_forget(inbox, tx, age_s, limit, &forgotten, &error), INBOX_OK, "%s",
                 error.message);
    cr_assert_eq(forgotten, wanted, "%lu", (unsigned long)forgotten);
}

/* `count` rows, the age of each `unit` times its number. */
static void
fill(const char *consumer, const char *prefix, int count, const char *unit)
{
    char sql[512];
    (void)snprintf(sql, sizeof(sql),
                   "insert into inbox with recursive n (i) as (select 0 union all select i + 1 "
                   "from n where i < %d) select '%s', concat('%s', i), "
                   "utc_timestamp(6) - interval i %s from n",
                   count - 1, consumer, prefix, unit);
    mysql_fixture_exec(tx, sql);
}

Test(inbox_mysql_tables, forgets_the_oldest_up_to_a_limit)
{
    fill("c", "", 11, "hour");
    mysql_fixture_exec(tx, "set time_zone = '+12:00'");
    forget_and_expect(5 * 3600 + 1800, 3, 3);
    cr_assert_eq(mysql_fixture_int(tx, "select max(message_id + 0) from inbox"), 7);
    forget_and_expect(5 * 3600 + 1800, 3, 2);
    forget_and_expect(5 * 3600 + 1800, 3, 0);
    cr_assert_eq(mysql_fixture_int(tx, "select max(message_id + 0) from inbox"), 5);
    mysql_fixture_exec(tx, "begin");
    forget_and_expect(1, UINT32_MAX, 5);
    mysql_fixture_exec(tx, "rollback");
    forget_and_expect(1, UINT32_MAX, 5);
    forget_and_expect(UINT64_C(3155760000), 1, 0);
}

static void
expect_only_old_ones_forgotten(void)
{
    expect_inbox();
    fill("billing", "new-", 100, "second");
    fill("mail", "new-", 100, "second");
    fill("billing", "old-", 100, "day");
    fill("mail", "older-", 100, "month");
    mysql_fixture_exec(tx, "delete from inbox where message_id in ('old-0', 'older-0')");
    forget_and_expect(3600, 150, 150);
    cr_assert_eq(mysql_fixture_int(tx,
                                   "select count(*) from inbox where message_id like 'old%' and "
                                   "seen_at > utc_timestamp(6) - interval 49 day"),
                 48, "not the oldest");
    forget_and_expect(3600, 150, 48);
    cr_assert_eq(count_rows(), 200);
    mysql_fixture_exec(tx, "begin");
    expect_verdict(tx, "mail", "new-7", INBOX_DUPLICATE);
    expect_verdict(tx, "billing", "old-7", INBOX_FIRST);
    mysql_fixture_exec(tx, "commit");
}

Test(inbox_mysql_tables, forgets_in_partitions_by_list)
{
    mysql_fixture_exec(tx, "alter table inbox partition by list columns (consumer) (partition one "
                           "values in ('billing'), partition rest values in ('mail'))");
    expect_only_old_ones_forgotten();
}

Test(inbox_mysql_tables, forgets_in_partitions_by_key)
{
    mysql_fixture_exec(tx, "alter table inbox partition by key (message_id) partitions 3");
    expect_only_old_ones_forgotten();
}

Test(inbox_mysql_tables, forget_has_rules)
{
    uint64_t forgotten = 42;
    cr_assert_eq(inbox_mysql_forget(inbox, tx, 0, 1, &forgotten, &error), INBOX_INVALID);
    cr_assert_eq(inbox_mysql_forget(inbox, tx, UINT64_MAX, 1, &forgotten, &error), INBOX_INVALID);
    cr_assert_eq(inbox_mysql_forget(inbox, tx, 1, 0, &forgotten, &error), INBOX_INVALID);
    cr_assert_eq(inbox_mysql_forget(NULL, tx, 1, 1, &forgotten, &error), INBOX_INVALID);
    cr_assert_eq(inbox_mysql_forget(inbox, NULL, 1, 1, &forgotten, &error), INBOX_CONNECTION);
    cr_assert_eq(forgotten, 42u);
}

Test(inbox_mysql_tables, rights_needed_are_few)
{
    mysql_fixture_grant(tx, "select, insert", "inbox");
    mysql_fixture_grant(tx, "select", "inbox_schema");
    MYSQL *user = mysql_fixture_connect_as_user();
    inbox_mysql *own = NULL;
    cr_assert_eq(inbox_mysql_new(user, &own, &error), INBOX_OK, "%s", error.message);
    inbox_mysql_free(own);
    mysql_fixture_exec(user, "begin");
    expect_verdict(user, "billing", "m1", INBOX_FIRST);
    expect_verdict(user, "billing", "m1", INBOX_DUPLICATE);
    mysql_fixture_exec(user, "commit");
    cr_assert_eq(inbox_mysql_forget(inbox, user, 1, 1, NULL, &error), INBOX_DATABASE);
    expect_error(INBOX_DATABASE, "42000", "DELETE");
    mysql_fixture_grant(tx, "delete", "inbox");
    mysql_close(user);
    user = mysql_fixture_connect_as_user();
    cr_assert_eq(inbox_mysql_forget(inbox, user, 1, 1, NULL, &error), INBOX_OK, "%s",
                 error.message);
    mysql_close(user);
}

/* Each file as it stands there. */
Test(inbox_mysql_tables, statements_run_by_hand)
{
    mysql_fixture_exec(tx, "set @consumer = 'billing', @message_id = 'm1', @age_s = 1, "
                           "@table = 'inbox', @named = 'message_id', @max_bytes = 255, "
                           "@message_key = 'k', @version = 7");
    mysql_fixture_load(tx, "consumers/mysql/look.sql");
    mysql_fixture_load(tx, "consumers/mysql/describe.sql");
    mysql_fixture_load(tx, "consumers/mysql/claim.sql");
    mysql_fixture_load(tx, "consumers/mysql/present.sql");
    cr_assert_eq(count_rows(), 1);
    mysql_fixture_exec(tx, "update inbox set seen_at = seen_at - interval 1 minute");
    mysql_fixture_load(tx, "consumers/mysql/forget.sql");
    cr_assert_eq(count_rows(), 0);
}
