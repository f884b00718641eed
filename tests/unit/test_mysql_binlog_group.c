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
