#include <criterion/criterion.h>

#include "consumers/mysql_query.h"

/* The numbers are written out for readers. Tests that need a server are in tests/integration/test_inbox.c. */
Test(mysql_query, what_an_error_means)
{
    cr_assert_eq(mysql_query_classify(1213), INBOX_RETRY, "deadlock");
    cr_assert_eq(mysql_query_classify(1205), INBOX_RETRY, "lock wait timeout");
    cr_assert_eq(mysql_query_classify(1020), INBOX_RETRY, "snapshot isolation");
    cr_assert_eq(mysql_query_classify(1614), INBOX_RETRY, "deadlock in an XA transaction");
    cr_assert_eq(mysql_query_classify(1146), INBOX_SCHEMA, "no such table");
    cr_assert_eq(mysql_query_classify(1053), INBOX_CONNECTION, "server shutdown");
    cr_assert_eq(mysql_query_classify(1927), INBOX_CONNECTION, "killed, says MariaDB");
    cr_assert_eq(mysql_query_classify(3169), INBOX_CONNECTION, "killed, says MySQL");
    cr_assert_eq(mysql_query_classify(2006), INBOX_CONNECTION, "server gone");
    cr_assert_eq(mysql_query_classify(2013), INBOX_CONNECTION, "server lost");
    cr_assert_eq(mysql_query_classify(5014), INBOX_CONNECTION, "write error");
    cr_assert_eq(mysql_query_classify(2008), INBOX_NO_MEMORY);
    cr_assert_eq(mysql_query_classify(2014), INBOX_INVALID, "out of sync");
    cr_assert_eq(mysql_query_classify(1142), INBOX_DATABASE, "no right");
    cr_assert_eq(mysql_query_classify(1062), INBOX_DATABASE, "another unique index");
}
