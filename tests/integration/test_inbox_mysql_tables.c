#include <criterion/criterion.h>
#include <inbox/inbox_mysql.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/mysql_fixture.h"

/* Tables of other forms, which libinbox-mysql checks when an inbox is made; and its statements, run by hand. */
static MYSQL *tx;
static inbox_mysql *inbox;
static struct inbox_error error;

static void
set_up(void)
{
    tx = mysql_fixture_create();
    mysql_fixture_load(tx, "consumers/mysql/schema.sql");
    mysql_fixture_load(tx, "consumers/mysql/schema_newest.sql");
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
    mysql_fixture_exec(tx, "alter table inbox engine = InnoDB, drop primary key, "
                           "add primary key (consumer, message_id, seen_at)");
    expect_no_inbox("(consumer, message_id, seen_at)");
    mysql_fixture_exec(tx, "alter table inbox drop primary key, "
                           "add primary key (consumer, message_id(3))");
    expect_no_inbox("(consumer, message_id(3))");
    mysql_fixture_exec(tx, "alter table inbox drop primary key, "
                           "add primary key (message_id, consumer)");
    expect_inbox();
}

/* With these types 'a', 'A' and 'a ' would be one name, or names would be shortened. */
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
expect_not_advanced(int64_t version, inbox_result code, const char *sqlstate, const char *words)
{
    inbox_verdict verdict;
    memset(&error, 0, sizeof(error));
    cr_assert_eq(inbox_mysql_advance(inbox, tx, "billing", "k1", 2, version, &verdict, &error),
                 code);
    expect_error(code, sqlstate, words);
}

Test(inbox_mysql_tables, a_table_that_guards_no_state_is_refused)
{
    mysql_fixture_exec(tx, "alter table inbox_newest drop primary key, engine = MyISAM");
    expect_no_inbox("alter table inbox_newest engine = InnoDB");
    mysql_fixture_exec(tx, "alter table inbox_newest engine = InnoDB, "
                           "add primary key (consumer, message_key, version)");
    expect_no_inbox("(consumer, message_key, version)");
    mysql_fixture_exec(tx, "alter table inbox_newest drop primary key, modify message_key "
                           "varbinary(1023) not null, add primary key (consumer, message_key)");
    expect_no_inbox("varbinary(1024)");
    mysql_fixture_exec(tx, "drop table inbox_newest");
    inbox_mysql_free(inbox);
    cr_assert_eq(inbox_mysql_new(tx, &inbox, &error), INBOX_OK, "who does not ask needs no table");
    mysql_fixture_exec(tx, "begin");
    expect_not_advanced(7, INBOX_SCHEMA, "", "schema_newest.sql");
}

/* The version never changes, so the library would try again for ever. */
Test(inbox_mysql_tables, a_trigger_cannot_keep_it_for_ever)
{
    inbox_verdict verdict;
    mysql_fixture_exec(tx, "create trigger keep before update on inbox_newest for each row set "
                           "new.version = old.version, new.advanced_at = old.advanced_at");
    mysql_fixture_exec(tx, "begin");
    cr_assert_eq(inbox_mysql_advance(inbox, tx, "billing", "k1", 2, 7, &verdict, &error), INBOX_OK);
    cr_assert_eq(verdict, INBOX_FIRST);
    expect_not_advanced(8, INBOX_RETRY, "", "trigger");
}

/* Each file runs unchanged. */
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
    mysql_fixture_load(tx, "consumers/mysql/advance_first.sql");
    mysql_fixture_load(tx, "consumers/mysql/newest.sql");
    mysql_fixture_exec(tx, "set @version = 8");
    mysql_fixture_load(tx, "consumers/mysql/advance.sql");
    cr_assert_eq(mysql_fixture_int(tx, "select version from inbox_newest"), 8);
}
