#include <criterion/criterion.h>

#include "tests/fuzz/binlog_file.h"
#include "tests/unit/binlog_driver.h"

TestSuite(mysql_binlog_group, .init = binlog_setup, .fini = binlog_teardown);

Test(mysql_binlog_group, an_unknown_type)
{
    binlog_make(200, 0, 0, "", 0);
    binlog_expect_refused(ERROR_CONNECTION, "type 200");
    binlog_make(200, MY_EVENT_FLAG_IGNORABLE, 0, "", 0);
    binlog_expect_good();
}

Test(mysql_binlog_group, an_incident)
{
    binlog_make(MY_EVENT_INCIDENT, 0, 0, "", 0);
    binlog_expect_refused(ERROR_TRANSIENT, "incident");
}

static void
begin_and(const char *schema, const char *text)
{
    binlog_begin(BINLOG_FILE | 4, binlog_columns, BINLOG_COLUMNS);
    binlog_begin_transaction();
    binlog_make_query_in(schema, 0, text);
}

/* Several databases of a server may have an outbox. */
Test(mysql_binlog_group, definitions_of_other_tables)
{
    static const struct {
        const char *schema;
        const char *text;
    } others[] = {
        {"elsewhere", "alter table outbox add column a int"},
        {"elsewhere", "drop table `elsewhere`.`outbox`"},
        {"shop", "alter table outbox_held add column a int"},
        {"", "drop database elsewhere"},
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        binlog_make(MY_EVENT_ANONYMOUS_GTID, 0, 0, "", 0);
        binlog_expect_good();
        binlog_make_query_in(others[i].schema, 0, others[i].text);
        binlog_expect_good();
    }
}

Test(mysql_binlog_group, definitions_of_the_outbox)
{
    static const struct {
        const char *schema;
        const char *text;
    } ours[] = {
        {"shop", "alter table outbox add column a int"},
        {"Shop", "analyze table OUTBOX"},
        {"", "alter table `shop`.`outbox` add column a int"},
        {"elsewhere", "rename table elsewhere.a to shop.outbox"},
    };
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        binlog_setup();
        binlog_make(MY_EVENT_ANONYMOUS_GTID, 0, 0, "", 0);
        binlog_expect_good();
        binlog_make_query_in(ours[i].schema, 0, ours[i].text);
        binlog_expect_refused(ERROR_TRANSIENT, "about the definition of table outbox");
    }
}

/* A trigger of such a statement may write any table of its schema. */
Test(mysql_binlog_group, statements_that_change_rows)
{
    begin_and("shop", "insert into purchase values (1)");
    binlog_expect_refused(ERROR_CONFIG, "binlog_format = ROW");
    begin_and("elsewhere", "replace into sums select count(*) from shop.purchase");
    binlog_expect_refused(ERROR_CONFIG, "binlog_format = ROW");
    begin_and("elsewhere", "insert into outbox values (1)");
    binlog_expect_good();
}

Test(mysql_binlog_group, what_does_not_follow)
{
    static const enum my_event_type types[] = {MY_EVENT_XID, MY_EVENT_WRITE_ROWS,
                                               MY_EVENT_WRITE_ROWS_V1, MY_EVENT_TABLE_MAP,
                                               MY_EVENT_XA_PREPARE};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        binlog_make(types[i], 0, 0, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
        binlog_expect_refused(ERROR_CONNECTION, "no transaction was begun");
    }
    binlog_make_query(0, "COMMIT");
    binlog_expect_refused(ERROR_CONNECTION, "no transaction was begun");
    binlog_begin_transaction();
    binlog_make(MY_EVENT_GTID, 0, 0, "", 0);
    binlog_expect_refused(ERROR_CONNECTION, "has not ended");
    binlog_make_query(0, "BEGIN");
    binlog_expect_refused(ERROR_CONNECTION, "has not ended");
}

Test(mysql_binlog_group, another_form)
{
    static const enum my_event_type types[] = {
        MY_EVENT_QUERY,
        MY_EVENT_ROTATE,
        MY_EVENT_FORMAT_DESCRIPTION,
        MY_EVENT_MARIADB_GTID,
        MY_EVENT_TABLE_MAP,
        MY_EVENT_XA_PREPARE,
        MY_EVENT_TRANSACTION_PAYLOAD,
    };
    binlog_begin_transaction();
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        binlog_make(types[i], 0, 0, "\xff", 1);
        binlog_expect_refused(ERROR_CONNECTION, "form");
    }
    binlog_make(MY_EVENT_XID, 0, 0, "", 0);
    binlog_made.bytes[BINLOG_FILE_SIZE_AT]++;
    binlog_expect_refused(ERROR_CONNECTION, "form");
}
