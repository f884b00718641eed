#include <criterion/criterion.h>
#include <string.h>

#include "tests/fuzz/binlog_file.h"
#include "tests/unit/binlog_driver.h"

/* Descriptions from real servers are tested in test_mysql_binlog.c; here is how one description follows another. */

#define TYPES_AT 23 /* in the body of the event: id, flags, "shop", "outbox", how many columns */

TestSuite(mysql_binlog_table, .init = binlog_setup, .fini = binlog_teardown);

static struct span description; /* the event of this type, from the scene `row` */
static struct span rows;

/* Reads up to the description of the outbox, without the rows after it. */
static void
read_up_to_rows(void)
{
    binlog_open("mysql9", "row");
    do {
        cr_assert(binlog_file_next(&binlog_events, &description));
        cr_assert(binlog_feed(description.data, description.size), "%s", binlog_error.text);
    } while (((const uint8_t *)description.data)[4] != MY_EVENT_TABLE_MAP);
    cr_assert(binlog_file_next(&binlog_events, &rows));
    memset((uint8_t *)(uintptr_t)rows.data + 13, 0, 4); /* where it ends, as it is fed repeatedly */
    cr_assert(binlog->table.map.known);
}

static void
describe(const uint8_t *body, size_t size)
{
    binlog_make(MY_EVENT_TABLE_MAP, 0, 0, body, size);
}

static void
expect_rows(const char *expected)
{
    binlog_trace[0] = '\0';
    cr_assert(binlog_feed(rows.data, rows.size) && binlog_take(), "%s", binlog_error.text);
    cr_assert_str_eq(binlog_trace, expected);
}

static size_t
copy_body(uint8_t body[200])
{
    const size_t size = description.size - MY_BINLOG_HEADER_BYTES;
    cr_assert_leq(size, 200);
    memcpy(body, (const uint8_t *)description.data + MY_BINLOG_HEADER_BYTES, size);
    return size;
}

Test(mysql_binlog_table, once_for_many_rows)
{
    read_up_to_rows();
    expect_rows("42");
    expect_rows("42");
}

/* Ids of tables are reused. */
Test(mysql_binlog_table, another_table_with_its_number)
{
    uint8_t body[200];
    read_up_to_rows();
    const size_t size = copy_body(body);
    body[15] = 'O'; /* "Outbox" */
    describe(body, size);
    binlog_expect_good();
    expect_rows("");
    body[15] = 'o';
    body[9] = 'S'; /* "Shop" */
    describe(body, size);
    binlog_expect_good();
    expect_rows("");
}

Test(mysql_binlog_table, another_number)
{
    uint8_t body[200];
    read_up_to_rows();
    const size_t size = copy_body(body);
    body[0]++;
    describe(body, size);
    binlog_expect_good();
    expect_rows("");
}

/* After a restart of the server, ids begin anew. */
Test(mysql_binlog_table, forgotten_with_the_file)
{
    read_up_to_rows();
    binlog_make_rotate(0, 4, "log.009999");
    binlog_expect_good();
    binlog_begin_transaction();
    expect_rows("");
}

Test(mysql_binlog_table, other_columns_than_before)
{
    uint8_t body[200];
    read_up_to_rows();
    const size_t size = copy_body(body);
    cr_assert_eq(body[TYPES_AT], MY_TYPE_LONGLONG);
    body[TYPES_AT] = MY_TYPE_LONG;
    describe(body, size);
    binlog_expect_refused(ERROR_CONFIG, "column \"id\" of table outbox has another type");
    body[TYPES_AT] = 12; /* the old DATETIME */
    describe(body, size);
    binlog_expect_refused(ERROR_CONFIG, "alter table outbox force");
}

Test(mysql_binlog_table, a_column_that_is_missing)
{
    const char *names[BINLOG_COLUMNS];
    memcpy(names, binlog_columns, sizeof(names));
    names[4] = "aggregate";
    read_up_to_rows();
    binlog_begin(BINLOG_FILE | 4, names, BINLOG_COLUMNS);
    binlog_begin_transaction();
    cr_assert_not(binlog_feed(description.data, description.size));
    cr_assert_eq(binlog_error.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(binlog_error.text, "no column \"key\""), "%s", binlog_error.text);
}
