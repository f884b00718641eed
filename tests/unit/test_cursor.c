#include <criterion/criterion.h>

#include "relay/core/cursor.h"

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

/* ---- a log beside the table ----------------------------------------------------------------------- */

Test(cursor, a_position_is_covered_once_everything_was_read)
{
    cursor_final(&cursor, 200, 5000);
    cr_assert_eq(cursor.covered, 0);
    fetch(10, 100, false);
    cr_assert_eq(cursor.covered, 0, "there are more rows");
    fetch(10, 200, true);
    cr_assert_eq(cursor.covered, 5000);
}

Test(cursor, a_position_counts_only_for_a_fetch_sent_after_it)
{
    cursor_sent(&cursor);
    cursor_final(&cursor, 200, 5000);
    cursor_received(&cursor, 10, 200, true);
    cr_assert_eq(cursor.covered, 0);
    cursor_sent(&cursor);
    cursor_final(&cursor, 200, 6000);
    cursor_received(&cursor, 0, 0, true);
    cr_assert_eq(cursor.covered, 5000);
}

Test(cursor, positions_only_ascend)
{
    cursor_final(&cursor, 200, 5000);
    cursor_final(&cursor, 200, 0);
    cursor_final(&cursor, 100, 4000);
    cr_assert_eq(cursor.position_known, 5000);
    fetch(0, 0, true);
    cr_assert_eq(cursor.covered, 5000);
    cr_assert_eq(cursor_after(&cursor), 200);
}

Test(cursor, has_a_gap_until_what_was_dropped_was_read_again)
{
    cursor_final(&cursor, 200, 0);
    fetch(10, 200, true);
    cr_assert_not(cursor_has_gap(&cursor));
    cursor_forget(&cursor, 100);
    cr_assert(cursor_has_gap(&cursor));
    cursor_sent(&cursor);
    cr_assert(cursor_has_gap(&cursor), "it is not back yet");
    cursor_received(&cursor, 10, 150, false);
    cr_assert(cursor_has_gap(&cursor), "what is above 150 is missing still");
    cursor_sent(&cursor);
    cursor_unsent(&cursor);
    cr_assert(cursor_has_gap(&cursor));
    fetch(0, 0, true);
    cr_assert_not(cursor_has_gap(&cursor));
}

Test(cursor, counts_what_was_dropped)
{
    cursor_forget(&cursor, 100);
    cursor_forget(&cursor, 200);
    cr_assert_eq(cursor.forgotten, 2);
    fetch(10, 200, true);
    cr_assert_eq(cursor.forgotten, 2, "also when it was read again");
}

/* Rows from the log have higher ids than the table had shown, with rows between them that the log has not brought. */
Test(cursor, goes_on_where_it_was_when_the_log_is_left)
{
    cursor_final(&cursor, 80, 0);
    fetch(10, 100, true);
    cursor_enter_live(&cursor);
    cursor_final(&cursor, 500, 0);
    cursor_leave_live(&cursor);
    cr_assert_eq(cursor_after(&cursor), 80);
    cr_assert_eq(cursor.high, 80);
    fetch(10, 600, true);
    cr_assert_eq(cursor_after(&cursor), 500);
}

Test(cursor, goes_on_from_what_a_live_log_has_passed)
{
    cursor_final(&cursor, 80, 0);
    fetch(10, 100, true);
    cursor_enter_live(&cursor);
    cursor_pass_live(&cursor, 300);
    cursor_pass_live(&cursor, 200);
    cursor_leave_live(&cursor);
    cr_assert_eq(cursor_after(&cursor), 300);
}

Test(cursor, what_was_dropped_while_live_comes_first)
{
    cursor_final(&cursor, 80, 0);
    fetch(10, 100, true);
    cursor_enter_live(&cursor);
    cursor_pass_live(&cursor, 300);
    cursor_forget(&cursor, 150);
    cursor_leave_live(&cursor);
    cr_assert_eq(cursor_after(&cursor), 149);
}
