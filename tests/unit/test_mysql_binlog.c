#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/binlog_file.h"
#include "tests/unit/binlog_driver.h"

TestSuite(mysql_binlog, .init = binlog_setup, .fini = binlog_teardown);

static void
assert_text(struct span span, const char *text)
{
    cr_assert_eq(span.size, strlen(text), "%zu bytes instead of %s", span.size, text);
    cr_assert(span.size == 0 || memcmp(span.data, text, span.size) == 0, "%.*s instead of %s",
              (int)span.size, (const char *)span.data, text);
}

Test(mysql_binlog, a_row_with_all_it_can_have)
{
    static const uint8_t message_id[UUID_BYTES] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                   8, 9, 10, 11, 12, 13, 14, 15};
    for (size_t i = 0; i < BINLOG_SERVERS; i++) {
        binlog_open(binlog_servers[i], "row");
        const struct row *const row = binlog_next_row();
        cr_assert_eq(row->id, 42);
        cr_assert_arr_eq(row->message_id, message_id, UUID_BYTES);
        cr_assert_eq(row->created_at_us, BINLOG_CREATED_AT_US);
        cr_assert_eq(row->key_hash, INT64_C(104656867186193433)); /* test_mysql_hash.c */
        cr_assert(row->has_key && row->ordered);
        cr_assert_not(row->exchange_is_null);
        cr_assert_null(row->withheld);
        cr_assert_not(row->scheduled);
        assert_text(row->exchange, "shop");
        assert_text(row->routing_key, "order.placed");
        assert_text(row->key, "order-4711");
        assert_text(row->type, "placed");
        assert_text(row->content_type, "application/json");
        assert_text(row->headers, "{\"tenant\": \"blue\"}");
        assert_text(row->payload, "{\"total\": 10}");
    }
}

Test(mysql_binlog, a_row_with_nothing_but_defaults)
{
    for (size_t i = 0; i < BINLOG_SERVERS; i++) {
        binlog_open(binlog_servers[i], "defaults");
        const struct row *const row = binlog_next_row();
        cr_assert_eq(row->id, 1);
        cr_assert_gt(row->created_at_us, BINLOG_CREATED_AT_US);
        cr_assert_eq(row->key_hash, 0);
        cr_assert_not(row->has_key || row->ordered || row->scheduled);
        cr_assert(row->exchange_is_null);
        assert_text(row->routing_key, "");
        assert_text(row->headers, "");
        cr_assert_not_null(row->payload.data);
        assert_text(row->payload, "");
    }
}

Test(mysql_binlog, transactions)
{
    binlog_expect_scene("transaction", "101 103 104 106");
    binlog_open("mariadb10", "transaction");
    binlog_next_row();
    const struct row *row = binlog_next_row();
    cr_assert(row->has_key && !row->exchange_is_null && row->key.size == 0);
    row = binlog_next_row();
    cr_assert(row->exchange_is_null);
    assert_text(row->key, "\320\272\320\273\321\216\321\207");
    cr_assert_eq(row->payload.size, 2);
}

Test(mysql_binlog, times)
{
    static const struct {
        int64_t created_at_us;
        bool scheduled;
    } times[] = {
        {BINLOG_CREATED_AT_US, false},
        {INT64_C(1714979289000000), true},
        {INT64_C(1709164800000001), false},
        {INT64_C(253402300799999999), false},
    };
    for (size_t i = 0; i < BINLOG_SERVERS; i++) {
        binlog_open(binlog_servers[i], "times");
        for (size_t k = 0; k < sizeof(times) / sizeof(times[0]); k++) {
            const struct row *const row = binlog_next_row();
            cr_assert_eq(row->created_at_us, times[k].created_at_us, "%s: row %zu",
                         binlog_servers[i], k);
            cr_assert_eq(row->scheduled, times[k].scheduled, "%s: row %zu", binlog_servers[i], k);
            cr_assert_eq(row->payload.size == 0, row->scheduled);
        }
    }
}

/* A table whose times have no fraction, or one with another precision. */
Test(mysql_binlog, times_of_fewer_digits)
{
    for (size_t i = 0; i < BINLOG_SERVERS; i++) {
        binlog_open(binlog_servers[i], "digits");
        cr_assert_eq(binlog_next_row()->created_at_us, INT64_C(1714979289000000));
        cr_assert(binlog_item.row.scheduled);
        cr_assert_not(binlog_next_row()->scheduled);
    }
}

Test(mysql_binlog, what_is_too_large_is_withheld)
{
    for (size_t i = 0; i < BINLOG_SERVERS; i++) {
        binlog_open(binlog_servers[i], "large");
        const struct row *row = binlog_next_row();
        cr_assert_not_null(row->withheld);
        cr_assert(row->payload.size == 0 && row->headers.size == 0);
        assert_text(row->key, "a");
        row = binlog_next_row();
        cr_assert_null(row->withheld);
        cr_assert_eq(row->payload.size, 900);
    }
}

Test(mysql_binlog, other_tables_and_other_changes_are_passed_over)
{
    binlog_expect_scene("everything", "101");
    binlog_expect_scene("checksums", "1");
}

Test(mysql_binlog, two_phases)
{
    binlog_expect_scene("xa-commit", "(1) prepared X'61',X'62',7 2 committed X'61',X'62',7 3");
    binlog_expect_scene("xa-rollback", "(1) prepared X'61',X'62',7 2 rolled back X'61',X'62',7 3");
}

/* MariaDB writes it as an ordinary transaction. */
Test(mysql_binlog, two_phases_in_one)
{
    binlog_open("mariadb10", "xa-one-phase");
    cr_assert_str_eq(binlog_read_all(), "1 2");
    binlog_open("mysql9", "xa-one-phase");
    cr_assert_str_eq(binlog_read_all(), "(1) committed X'61',X'62',7 2");
}

/* Each type of column once stands before the outbox's, so that one byte too few or too many is noticed. */
Test(mysql_binlog, columns_of_every_type)
{
    binlog_expect_scene("types-full", "1 2");
    for (size_t i = 0; i < BINLOG_SERVERS; i++) {
        binlog_open(binlog_servers[i], "types-full");
        assert_text(binlog_next_row()->payload, "one");
        cr_assert_eq(binlog_item.row.created_at_us, BINLOG_CREATED_AT_US);
        assert_text(binlog_next_row()->payload, "two");
    }
}

/* The same, with names given by the caller instead of the log. */
Test(mysql_binlog, columns_by_their_order)
{
    for (size_t i = 0; i < BINLOG_SERVERS; i++) {
        binlog_open(binlog_servers[i], "types-minimal");
        cr_assert_not_null(strstr(binlog_read_all(), "config: table outbox has"), "%s",
                           binlog_trace);
        const size_t own = binlog->table.map.column_count - BINLOG_COLUMNS;
        const char *names[200];
        for (size_t k = 0; k < own + BINLOG_COLUMNS; k++) {
            names[k] = k < own / 2 || k >= own / 2 + BINLOG_COLUMNS ? "other"
                                                                    : binlog_columns[k - own / 2];
        }
        binlog_open(binlog_servers[i], "types-minimal");
        binlog_begin(BINLOG_FILE | 4, names, own + BINLOG_COLUMNS);
        cr_assert_str_eq(binlog_read_all(), "1 2", "%s: %s", binlog_servers[i], binlog_trace);
    }
}

Test(mysql_binlog, rows_without_all_their_columns)
{
    binlog_expect_scene("minimal", " config: rows of the outbox are not who");
    cr_assert_not_null(strstr(binlog_error.text, "\"exchange\""), "%s", binlog_error.text);
}

/* The missing columns are not needed: two are not ours, or empty in every row. */
Test(mysql_binlog, rows_without_columns_that_are_not_needed)
{
    const char *names[BINLOG_COLUMNS + 1] = {"tenant"};
    memcpy(names + 1, binlog_columns, sizeof(binlog_columns));
    for (size_t i = 0; i < BINLOG_SERVERS; i++) {
        binlog_open(binlog_servers[i], "partial");
        binlog_begin(BINLOG_FILE | 4, names, BINLOG_COLUMNS + 1);
        const struct row *const row = binlog_next_row();
        cr_assert(row->exchange_is_null);
        assert_text(row->routing_key, "r");
        assert_text(row->key, "k");
        assert_text(row->headers, "");
        assert_text(row->payload, "b");
        cr_assert_eq(row->created_at_us, BINLOG_CREATED_AT_US);
    }
}

/* MySQL names the partition of each row. */
Test(mysql_binlog, a_table_in_partitions)
{
    binlog_expect_scene("partitioned", "1 2");
}

Test(mysql_binlog, statements_instead_of_rows)
{
    binlog_expect_scene("statement", " config: the log has a statement instea");
    cr_assert_not_null(strstr(binlog_error.text, "binlog_format = ROW"), "%s", binlog_error.text);
    cr_assert_null(strstr(binlog_error.text, "4711"), "it tells what was written");
}

Test(mysql_binlog, another_definition_of_the_table)
{
    binlog_expect_scene("altered", "1 transient: the log has a statement about ");
    binlog_expect_scene("renamed", "1 transient: the log has a statement about ");
}

Test(mysql_binlog, what_is_compressed)
{
    for (size_t i = 0; i < BINLOG_SERVERS; i++) {
        binlog_open(binlog_servers[i], "compressed");
        cr_assert_str_eq(binlog_next_row()->withheld == NULL ? "" : "withheld", "");
        assert_text(binlog_item.row.payload, "{\"total\": 10}");
    }
    binlog_open("mariadb10", "compressed");
    cr_assert_str_eq(binlog_read_all(), "1 2 3");
    binlog_open("mariadb11", "compressed");
    cr_assert_str_eq(binlog_read_all(), "1 2 3");
    binlog_open("mysql9", "compressed");
    cr_assert_str_eq(binlog_read_all(), "1 2 3 4");
}

Test(mysql_binlog, what_mysql_alone_writes)
{
    binlog_open("mysql9", "tagged");
    cr_assert_str_eq(binlog_read_all(), "1 2");
    binlog_open("mysql9", "said");
    cr_assert_str_eq(binlog_read_all(), "1");
    binlog_open("mysql9", "json");
    cr_assert_str_eq(binlog_read_all(), "1");
}

/* ---- damage ---- */

/* The checksum detects every changed bit and every cut, except in the format description, which announces whether there
 * are checksums. */
Test(mysql_binlog, a_checksum_sees_damage)
{
    for (size_t i = 0; i < BINLOG_SERVERS; i++) {
        binlog_open(binlog_servers[i], "checksums");
        cr_assert(binlog_feed_next(), "%s", binlog_error.text);
        struct span next;
        while (binlog_file_next(&binlog_events, &next)) {
            uint8_t copy[BINLOG_FILE_BYTES_MAX];
            for (size_t bit = 0; bit < next.size * 8; bit++) {
                memcpy(copy, next.data, next.size);
                copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
                if (copy[4] == ((const uint8_t *)next.data)[4]) {
                    cr_assert_not(binlog_feed(copy, next.size), "bit %zu", bit);
                }
            }
            cr_assert(binlog_feed(next.data, next.size) && binlog_take(), "%s", binlog_error.text);
        }
    }
}

/* Whatever is changed, cut or left out: nothing outside is read (the sanitizers check it), and errors are reported. */
static void
feed_damaged(const char *server, const char *scene, size_t damaged, size_t bit)
{
    struct span next;
    binlog_open(server, scene);
    for (size_t i = 0; binlog_file_next(&binlog_events, &next); i++) {
        uint8_t copy[BINLOG_FILE_BYTES_MAX];
        memcpy(copy, next.data, next.size);
        if (i == damaged) {
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        binlog_error.text[0] = '\0';
        if (!binlog_feed(copy, next.size) || !binlog_take()) {
            cr_assert_str_not_empty(binlog_error.text);
            return;
        }
    }
}

static void
damage_all(const char *server, const char *scene)
{
    struct reader sizes;
    struct span next;
    binlog_open(server, scene);
    sizes = binlog_events;
    for (size_t i = 0; binlog_file_next(&sizes, &next); i++) {
        for (size_t bit = 0; bit < next.size * 8; bit++) {
            binlog_trace[0] = '\0';
            feed_damaged(server, scene, i, bit);
        }
    }
}

Test(mysql_binlog, every_bit_changed)
{
    for (size_t i = 0; i < BINLOG_SERVERS; i++) {
        damage_all(binlog_servers[i], "row");
        damage_all(binlog_servers[i], "compressed");
    }
}

/* Each event is cut at every byte, with its size set accordingly. */
Test(mysql_binlog, every_length)
{
    for (size_t i = 0; i < BINLOG_SERVERS; i++) {
        binlog_open(binlog_servers[i], "types-full");
        struct span next;
        while (binlog_file_next(&binlog_events, &next)) {
            for (size_t size = MY_BINLOG_HEADER_BYTES; size < next.size; size++) {
                binlog_make(((const uint8_t *)next.data)[4], 0, 0,
                            (const uint8_t *)next.data + MY_BINLOG_HEADER_BYTES,
                            size - MY_BINLOG_HEADER_BYTES);
                binlog_trace[0] = '\0';
                const struct my_binlog before = *binlog;
                (void)binlog_feed_made();
                *binlog = before;
            }
            cr_assert(binlog_feed(next.data, next.size) && binlog_take(), "%s", binlog_error.text);
        }
    }
}
