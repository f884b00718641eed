#include <criterion/criterion.h>

#include "relay/cursor.h"

static struct cursor cursor;

static void
setup(void)
{
    cursor_init(&cursor);
}

TestSuite(cursor, .init = setup);

static void
fetch(size_t count, int64_t last_id, bool complete)
{
    cursor_sent(&cursor);
    cursor_received(&cursor, count, last_id, complete);
}

Test(cursor, starts_at_the_left_edge)
{
    cr_assert_eq(cursor_after(&cursor), CURSOR_START);
}

Test(cursor, stays_where_late_rows_may_come)
{
    fetch(10, 100, true);
    cr_assert_eq(cursor.high, 100);
    cr_assert_eq(cursor_after(&cursor), CURSOR_START, "nobody said that ids up to 100 are final");
}

Test(cursor, final_counts_only_for_a_fetch_sent_after_it)
{
    cursor_sent(&cursor);
    cursor_final(&cursor, 80, 0);
    cursor_received(&cursor, 10, 100, true);
    cr_assert_eq(cursor_after(&cursor), CURSOR_START,
                 "a row below 80 may have come after that fetch's snapshot");
    fetch(0, 0, true);
    cr_assert_eq(cursor_after(&cursor), 80);
}

Test(cursor, never_goes_past_what_was_read)
{
    cursor_final(&cursor, 500, 0);
    fetch(10, 100, false);
    cr_assert_eq(cursor_after(&cursor), 100, "there are more rows after 100");
    fetch(10, 200, true);
    cr_assert_eq(cursor_after(&cursor), 500,
                 "there is nothing between 200 and 500, and never will be");
}

Test(cursor, an_empty_table_is_not_read_from_its_left_edge_for_ever)
{
    cursor_final(&cursor, 1000, 0);
    fetch(0, 0, true);
    cr_assert_eq(cursor_after(&cursor), 1000);
}

Test(cursor, goes_back_for_what_was_dropped)
{
    cursor_final(&cursor, 200, 0);
    fetch(10, 200, true);
    cursor_forget(&cursor, 150);
    cursor_forget(&cursor, 170);
    cr_assert_eq(cursor_after(&cursor), 149);
    fetch(10, 160, false);
    cr_assert_eq(cursor_after(&cursor), 160, "what is above 160 is still to be read");
    fetch(10, 210, true);
    cr_assert_eq(cursor_after(&cursor), 200);
    cr_assert_eq(cursor.floor, CURSOR_NONE);
}

Test(cursor, what_is_dropped_during_a_fetch_is_for_the_next)
{
    cursor_final(&cursor, 200, 0);
    fetch(10, 200, true);
    cursor_sent(&cursor);
    cursor_forget(&cursor, 50);
    cursor_received(&cursor, 3, 210, true);
    cr_assert_eq(cursor_after(&cursor), 49);
}

Test(cursor, a_fetch_whose_rows_are_not_used_never_was)
{
    cursor_final(&cursor, 200, 0);
    fetch(10, 200, true);
    cursor_forget(&cursor, 50);
    cursor_sent(&cursor);
    cursor_unsent(&cursor);
    cr_assert_eq(cursor_after(&cursor), 49);
}

Test(cursor, a_sweep_looks_at_everything_once)
{
    cursor_final(&cursor, 200, 0);
    fetch(10, 200, true);
    cursor_sweep(&cursor);
    cr_assert_eq(cursor_after(&cursor), CURSOR_START);
    cr_assert_eq(cursor.sent_without_sweep, 200);
    fetch(5, 90, false);
    cr_assert_eq(cursor_after(&cursor), 90);
    cr_assert_eq(cursor.sent_without_sweep, 200, "still sweeping");
    fetch(0, 0, true);
    cr_assert_eq(cursor_after(&cursor), 200);
    cr_assert_eq(cursor.sent_without_sweep, CURSOR_NONE);
}
