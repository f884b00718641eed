#include <criterion/criterion.h>
#include <string.h>
#include <zlib.h>

#include "tests/fuzz/binlog_file.h"
#include "tests/unit/binlog_driver.h"

TestSuite(mysql_binlog_file, .init = binlog_setup, .fini = binlog_teardown);

/* What a replica gets first: the file and its format; the latter with its place in the file, or without. */
static void
begin_within(uint64_t position, bool place)
{
    struct span format;
    binlog_begin(position, binlog_columns, BINLOG_COLUMNS);
    binlog_make_rotate(MY_EVENT_FLAG_ARTIFICIAL, (uint32_t)position, "log.000001");
    binlog_expect_good();
    binlog_events = binlog_file_begin(binlog_file, binlog_file_size);
    cr_assert(binlog_file_next(&binlog_events, &format));
    const uint32_t end = htole32(place ? (uint32_t)format.size + BINLOG_FILE_MAGIC_BYTES : 0);
    memcpy(binlog_file + BINLOG_FILE_MAGIC_BYTES + 13, &end, sizeof(end));
    cr_assert(binlog_feed(format.data, format.size), "%s", binlog_error.text);
    cr_assert_eq(my_binlog_position(binlog), position);
    binlog_events.at = binlog_file + (uint32_t)position;
}

/* From each place between two groups it gives everything after it; and the position of a row is below exactly those
 * places that come after its group. */
static void
check_positions(const char *server, const char *scene)
{
    uint64_t ends[64];
    uint64_t rows[64];
    size_t end_count = 0;
    size_t row_count = 0;
    struct span next;
    binlog_open(server, scene);
    ends[end_count++] = BINLOG_FILE | 4;
    while (binlog_file_next(&binlog_events, &next) && binlog_events.at < binlog_events.end) {
        cr_assert(binlog_feed(next.data, next.size), "%s", binlog_error.text);
        for (;;) {
            cr_assert(my_binlog_next(binlog, &binlog_item, &binlog_error), "%s", binlog_error.text);
            if (binlog_item.type == MY_BINLOG_NOTHING) {
                break;
            }
            if (binlog_item.type == MY_BINLOG_ROW) {
                cr_assert_geq(binlog_item.row.position, my_binlog_position(binlog));
                rows[row_count++] = binlog_item.row.position;
            }
        }
        if (my_binlog_position(binlog) > ends[end_count - 1]) {
            ends[end_count++] = my_binlog_position(binlog);
            cr_assert_eq(ends[end_count - 1],
                         BINLOG_FILE | (uint64_t)(binlog_events.at - binlog_file));
        }
    }
    for (size_t i = 0; i < end_count; i++) {
        begin_within(ends[i], i % 2 == 1);
        for (size_t k = 0; k < row_count; k++) {
            if (rows[k] >= ends[i]) {
                cr_assert_eq(binlog_next_row()->position, rows[k], "%s-%s", server, scene);
            }
        }
    }
}

Test(mysql_binlog_file, positions)
{
    for (size_t i = 0; i < BINLOG_SERVERS; i++) {
        check_positions(binlog_servers[i], "transaction");
        check_positions(binlog_servers[i], "everything");
        check_positions(binlog_servers[i], "compressed");
        check_positions(binlog_servers[i], "xa-commit");
    }
}

Test(mysql_binlog_file, a_position_is_told_when_its_group_is_over)
{
    binlog_begin_transaction();
    binlog_make(MY_EVENT_ROWS_QUERY, 0, 500, "", 0);
    binlog_expect_good();
    cr_assert_eq(my_binlog_position(binlog), BINLOG_FILE | 4);
    binlog_commit_at(600);
    cr_assert_eq(my_binlog_position(binlog), BINLOG_FILE | 600);
}

/* Between two events there may be others that are not sent. */
Test(mysql_binlog_file, a_group_lies_where_it_begins)
{
    binlog_make(MY_EVENT_ANONYMOUS_GTID, 0, 1000, "", 0);
    binlog_expect_good();
    cr_assert_eq(binlog->group_position, BINLOG_FILE | (1000 - MY_BINLOG_HEADER_BYTES));
}

Test(mysql_binlog_file, the_next_file)
{
    binlog_begin_transaction();
    binlog_commit_at(600);
    binlog_make_rotate(0, 4, "log.000002");
    binlog_expect_good();
    cr_assert_eq(my_binlog_position(binlog), 2 * BINLOG_FILE | 4);
    binlog_make_rotate(MY_EVENT_FLAG_ARTIFICIAL, 4, "log.000002");
    binlog_expect_good();
    cr_assert_eq(my_binlog_position(binlog), 2 * BINLOG_FILE | 4);
}

/* A file may end with a transaction of any size. */
Test(mysql_binlog_file, a_file_of_more_than_4_gib)
{
    const uint64_t last = BINLOG_FILE | UINT32_MAX;
    binlog_begin_transaction();
    for (uint64_t end = 1 << 30; end < UINT64_C(5) << 30; end += 1 << 30) {
        binlog_make(MY_EVENT_UPDATE_ROWS, 0, (uint32_t)(end + 4711), "", 0);
        binlog_expect_good();
    }
    cr_assert_eq(my_binlog_position(binlog), BINLOG_FILE | 4);
    binlog_commit_at(5000);
    cr_assert_eq(my_binlog_position(binlog), last);
    binlog_make(MY_EVENT_ANONYMOUS_GTID, 0, 6000, "", 0);
    binlog_expect_good();
    cr_assert_eq(binlog->group_position, last);
    binlog_make_query(6100, "BEGIN");
    binlog_expect_good();
    binlog_commit_at(6200);
    cr_assert_eq(my_binlog_position(binlog), last);
    binlog_make_rotate(0, 4, "log.000002");
    binlog_expect_good();
    cr_assert_eq(my_binlog_position(binlog), 2 * BINLOG_FILE | 4);
}

Test(mysql_binlog_file, an_idle_server_tells_where_it_is)
{
    binlog_make(MY_EVENT_HEARTBEAT, 0, 4711, "log.000001", 10);
    binlog_expect_good();
    cr_assert_eq(my_binlog_position(binlog), BINLOG_FILE | 4711);
    binlog_expect_good(); /* again */
    cr_assert_eq(my_binlog_position(binlog), BINLOG_FILE | 4711);
    binlog_make(MY_EVENT_HEARTBEAT_V2, 0, 0, "", 0);
    binlog_expect_good();
}

Test(mysql_binlog_file, what_stands_before_what_came_before_it)
{
    binlog_make(MY_EVENT_HEARTBEAT, 0, 4711, "log.000001", 10);
    binlog_expect_good();
    binlog_make(MY_EVENT_HEARTBEAT, 0, 4710, "log.000001", 10);
    binlog_expect_refused(ERROR_CONNECTION, "is lower than that of the event before it");
}

Test(mysql_binlog_file, a_log_that_was_begun_anew)
{
    binlog_make_rotate(0, 4, "log.000003");
    binlog_expect_good();
    binlog_make_rotate(MY_EVENT_FLAG_ARTIFICIAL, 4, "log.000002");
    binlog_expect_refused(ERROR_TRANSIENT, "begun anew");
    binlog_make_rotate(0, 4, "other.000004");
    binlog_expect_refused(ERROR_TRANSIENT, "begun anew");
}

/* A crash leaves a part of a transaction. */
Test(mysql_binlog_file, a_transaction_that_was_cut_off)
{
    binlog_begin_transaction();
    binlog_make_rotate(MY_EVENT_FLAG_ARTIFICIAL, 4, "log.000002");
    binlog_expect_good();
    binlog_begin_transaction();
    binlog_commit_at(600);
    cr_assert_eq(my_binlog_position(binlog), 2 * BINLOG_FILE | 600);
}

/* A ROTATE that the server makes up for a replica may have a checksum or not, whatever the file has. */
Test(mysql_binlog_file, a_rotation_with_a_checksum_or_without)
{
    for (int checksums = 0; checksums < 2; checksums++) {
        for (int has_one = 0; has_one < 2; has_one++) {
            binlog->checksums = checksums != 0;
            binlog_make_rotate(MY_EVENT_FLAG_ARTIFICIAL, 4, "log.000002");
            if (has_one != 0) {
                binlog_made.bytes[BINLOG_FILE_SIZE_AT] += MY_CHECKSUM_BYTES;
                binlog_put_number(crc32_z(0, binlog_made.bytes, binlog_made.size),
                                  MY_CHECKSUM_BYTES);
            }
            binlog_expect_good();
            cr_assert_eq(my_binlog_position(binlog), 2 * BINLOG_FILE | 4);
        }
    }
}
