#include "relay/ports/fetch_plan.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"

#define TAKEOVER_US (10 * CLOCK_S_US)

static struct fetch_plan plan;

static void
init(void)
{
    fetch_plan_init(&plan, TAKEOVER_US);
}

TestSuite(fetch_plan, .init = init);

static void
begin(enum fetch_kind kind, int64_t after_id)
{
    const struct fetch fetch = {
        .kind = kind, .after_id = after_id, .rows_max = 100, .bytes_max = 1000};
    fetch_plan_begin(&plan, &fetch);
    fetch_plan_send(&plan, 0, 0);
}

static size_t first_bytes = 1; /* of the first row; they are never read */

/* Answers with rows of one byte each, except the first, `took_us` after the request. */
static bool
answer(size_t count, bool complete, uint64_t took_us, bool *ret_news)
{
    static struct row rows[101];
    struct batch batch = {.rows = rows, .count = count, .complete = complete};
    rows[0] = (struct row){.id = 7, .payload = {"x", first_bytes}};
    return fetch_plan_answered(&plan, &batch, plan.sent_us + took_us, ret_news);
}

static bool
answer_soon(size_t count, bool complete)
{
    bool news;
    return answer(count, complete, 1, &news);
}

Test(fetch_plan, asks_for_one_more_and_bounds_each_row_to_its_share)
{
    begin(FETCH_NEXT, 5);
    cr_assert_eq(fetch_plan_rows(&plan), 100);
    cr_assert_eq(fetch_plan_limit(&plan), 101);
    cr_assert_eq(fetch_plan_bytes(&plan), 10);
    cr_assert_eq(plan.stretch_end, INT64_MAX);
    cr_assert(answer_soon(100, false));
    cr_assert_not(plan.outstanding);
    begin(FETCH_HEADS, 0);
    cr_assert_eq(fetch_plan_bytes(&plan), 1000);
}

Test(fetch_plan, a_source_may_want_fewer)
{
    plan.rows_cap = 20;
    begin(FETCH_NEXT, 0);
    cr_assert_eq(fetch_plan_limit(&plan), 21);
    cr_assert_eq(fetch_plan_bytes(&plan), 50);
    cr_assert(answer_soon(20, false));
    cr_assert_eq(plan.exact_left, 0, "none was cut");
}

/* A row larger than its share, as the first one and after others. */
Test(fetch_plan, counts_bytes_where_large_rows_are)
{
    begin(FETCH_NEXT, 0);
    cr_assert_not(answer_soon(0, false));
    cr_assert(plan.exact && plan.outstanding);
    fetch_plan_send(&plan, 0, 0);
    cr_assert_eq(fetch_plan_bytes(&plan), 1000);
    cr_assert(answer_soon(3, false));
    begin(FETCH_NEXT, 3);
    cr_assert(plan.exact);
    for (int i = 0; i < 40; i++) {
        cr_assert(answer_soon(100, false));
        begin(FETCH_NEXT, 3);
    }
    cr_assert_not(plan.exact);
    cr_assert(answer_soon(5, false));
    begin(FETCH_NEXT, 3);
    cr_assert(plan.exact);
}

/* Only a row that was cut, although bytes were counted: then that row is fetched alone, however large it is. */
Test(fetch_plan, a_row_that_is_larger_than_a_batch_comes_alone)
{
    begin(FETCH_NEXT, 0);
    cr_assert_not(answer_soon(0, false));
    cr_assert_not(fetch_plan_is_alone(&plan));
    cr_assert_not(answer_soon(0, false));
    cr_assert(fetch_plan_is_alone(&plan));
    cr_assert_eq(fetch_plan_limit(&plan), 1);
    cr_assert_eq(fetch_plan_bytes(&plan), INT64_MAX);
    cr_assert(answer_soon(1, true));
    begin(FETCH_NEXT, 7);
    cr_assert_eq(fetch_plan_rows(&plan), 100);
    cr_assert(answer_soon(1, true));
    begin(FETCH_HEADS, 0);
    cr_assert_not(answer_soon(0, false));
    cr_assert(fetch_plan_is_alone(&plan));
}

/* An answer with only a cut row, before each loss of the session, must not clear the row of suspicion. */
Test(fetch_plan, a_large_row_over_which_sessions_end_is_read_without_its_texts)
{
    for (int i = 0; i < 3; i++) {
        begin(FETCH_NEXT, 0);
        cr_assert_not(answer_soon(0, false));
        cr_assert_not(answer_soon(0, false));
        cr_assert(fetch_plan_is_alone(&plan) && !plan.bare);
        fetch_plan_lost(&plan, false, "gone", 1);
    }
    begin(FETCH_NEXT, 0);
    cr_assert(plan.bare);
    cr_assert_eq(fetch_plan_rows(&plan), 1);
}

/* As long as answers are fast, more is asked for where bytes are counted, and half as much after a slow one. */
Test(fetch_plan, a_source_may_ask_for_little_at_first)
{
    static const int64_t bytes[] = {50, 200, 800, 1000};
    bool news;
    plan.bytes_cap = 50;
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        begin(FETCH_HEADS, 0);
        cr_assert_eq(fetch_plan_bytes(&plan), bytes[i]);
        cr_assert(answer_soon(3, false));
    }
    begin(FETCH_NEXT, 0);
    cr_assert_eq(fetch_plan_bytes(&plan), 10, "each has its share as before");
    cr_assert(answer_soon(100, false));
    plan.bytes_cap = 8000;
    begin(FETCH_HEADS, 0);
    cr_assert(answer(3, false, TAKEOVER_US / 2, &news));
    cr_assert_eq(plan.bytes_cap, 4000);
}

/* Otherwise everything after it would come one by one, too. */
Test(fetch_plan, a_large_row_that_comes_fast_makes_it_ask_for_more)
{
    bool news;
    plan.bytes_cap = 50;
    first_bytes = 500;
    begin(FETCH_NEXT, 0);
    cr_assert_not(answer_soon(0, false));
    fetch_plan_send(&plan, 0, 0);
    cr_assert_not(answer_soon(0, false));
    fetch_plan_send(&plan, 0, 0);
    cr_assert_eq(fetch_plan_rows(&plan), 1);
    cr_assert_eq(plan.bytes_cap, 50, "that it was cut at the first row says nothing");
    cr_assert(answer_soon(1, false));
    cr_assert_eq(plan.bytes_cap, 200);
    begin(FETCH_HEADS, 0);
    cr_assert_not(answer_soon(0, false));
    fetch_plan_send(&plan, 0, 0);
    cr_assert(answer(1, false, TAKEOVER_US / 2, &news));
    cr_assert_eq(plan.bytes_cap, 200, "it took its time");
}

/* The answer that the first row was cut is fast, however slow the link is. */
Test(fetch_plan, a_large_row_that_is_met_first_does_not_make_it_ask_for_more)
{
    begin(FETCH_NEXT, 0);
    cr_assert(fetch_plan_refused(&plan, "no"));
    cr_assert_eq(fetch_plan_rows(&plan), 50);
    cr_assert_not(answer_soon(0, false));
    fetch_plan_send(&plan, 0, 0);
    cr_assert_eq(fetch_plan_rows(&plan), 50);
    cr_assert(answer_soon(50, false));
    begin(FETCH_NEXT, 0);
    cr_assert_eq(fetch_plan_rows(&plan), 100);
}

Test(fetch_plan, walks_over_what_is_final_in_stretches)
{
    const struct fetch fetch = {.after_id = -5, .rows_max = 100, .bytes_max = 1000};
    const int64_t stretch = TAKEOVER_US / 10;
    fetch_plan_begin(&plan, &fetch);
    fetch_plan_send(&plan, 10 * stretch, 0);
    cr_assert_eq(plan.stretch_end, stretch);
    cr_assert_not(answer_soon(0, true));
    fetch_plan_send(&plan, 10 * stretch, 0);
    cr_assert_eq(plan.stretch_end, 3 * stretch, "it came at once: twice as far");
    bool news;
    cr_assert_not(answer(0, true, TAKEOVER_US / 2, &news));
    fetch_plan_send(&plan, 10 * stretch, 0);
    cr_assert_eq(plan.stretch_end, 4 * stretch, "it took long");
    struct row row = {.id = 7};
    struct batch batch = {.rows = &row, .count = 1, .complete = true};
    cr_assert(fetch_plan_answered(&plan, &batch, 1, &news));
    cr_assert_not(batch.complete, "of the stretch alone");
}

/* The stretch that is read at the given one of the statements, which all come at once and find nothing. */
static int64_t
stretch_at(int statement)
{
    begin(FETCH_NEXT, 0);
    for (int sent = 0;; sent++) {
        fetch_plan_send(&plan, INT64_MAX, 0);
        if (sent == statement) {
            return plan.stretch;
        }
        cr_assert_not(answer_soon(0, true));
    }
}

Test(fetch_plan, a_stretch_that_took_too_long_is_not_tried_again)
{
    const int64_t too_long = stretch_at(5);
    fetch_plan_lost(&plan, true, "gone", TAKEOVER_US);
    cr_assert_eq(stretch_at(20), too_long / 2);
}

Test(fetch_plan, a_session_that_ends_early_says_nothing_of_its_stretch)
{
    const int64_t stretch = stretch_at(5);
    fetch_plan_lost(&plan, true, "gone", 1);
    cr_assert_gt(stretch_at(20), stretch);
}

Test(fetch_plan, halves_down_to_the_row_that_is_to_blame)
{
    begin(FETCH_NEXT, 0);
    cr_assert_not(fetch_plan_is_halved(&plan));
    for (uint32_t rows = 100; rows > 1; rows /= 2) {
        cr_assert_eq(fetch_plan_rows(&plan), rows);
        cr_assert_not(fetch_plan_is_alone(&plan));
        cr_assert(fetch_plan_refused(&plan, "no"));
    }
    cr_assert(fetch_plan_is_alone(&plan) && fetch_plan_is_halved(&plan));
    cr_assert_eq(fetch_plan_limit(&plan), 1);
    cr_assert(fetch_plan_refused(&plan, "no"));
    cr_assert(plan.bare);
    cr_assert_str_eq(plan.trouble, "it cannot be read: no");
    cr_assert_not(fetch_plan_refused(&plan, "no"), "that is no row's fault");
}

Test(fetch_plan, what_cannot_be_read_is_left_for_a_while)
{
    begin(FETCH_HEADS, 0);
    while (!plan.bare) {
        cr_assert(fetch_plan_refused(&plan, "no"));
    }
    cr_assert(answer_soon(1, true));
    cr_assert_eq(plan.unread[0].id, 7);
    cr_assert(fetch_plan_is_unread(&plan.unread[0], CLOCK_S_US));
    cr_assert_not(fetch_plan_is_unread(&plan.unread[0], 3600 * CLOCK_S_US));
    fetch_plan_forget_unread(&plan);
    cr_assert_not(fetch_plan_is_unread(&plan.unread[0], CLOCK_S_US));
}

Test(fetch_plan, says_once_that_it_is_slow_and_asks_for_more_again)
{
    bool news;
    begin(FETCH_NEXT, 0);
    cr_assert(answer(100, false, TAKEOVER_US / 2, &news));
    cr_assert(news && strstr(plan.slow, "100 rows, with 1 bytes") != NULL, "%s", plan.slow);
    begin(FETCH_NEXT, 0);
    cr_assert_eq(fetch_plan_rows(&plan), 50);
    cr_assert(answer(50, false, TAKEOVER_US / 2, &news));
    cr_assert_not(news);
    for (int i = 0; i < 2; i++) {
        begin(FETCH_NEXT, 0);
        cr_assert(answer(25, false, 1, &news));
    }
    cr_assert_eq(plan.slow[0], '\0');
    begin(FETCH_NEXT, 0);
    cr_assert_eq(fetch_plan_rows(&plan), 100);
}

/* A session that ends for another reason proves nothing. */
Test(fetch_plan, a_row_over_which_sessions_end_is_read_without_its_texts)
{
    begin(FETCH_NEXT, 0);
    fetch_plan_lost(&plan, true, "restarted", 1);
    begin(FETCH_NEXT, 0);
    cr_assert_eq(fetch_plan_rows(&plan), 100);
    for (int i = 0; i < 6; i++) {
        fetch_plan_lost(&plan, false, "gone", 1);
        begin(FETCH_NEXT, 0);
    }
    cr_assert(fetch_plan_is_alone(&plan) && !plan.bare);
    for (int i = 0; i < 3; i++) {
        fetch_plan_lost(&plan, false, "gone", 1);
        begin(FETCH_NEXT, 0);
    }
    cr_assert(plan.bare && strstr(plan.trouble, "gone") != NULL);
}

Test(fetch_plan, keeps_of_a_range_what_was_asked_for)
{
    const struct fetch dense = {.ids = (int64_t[]){3, 4, 6}, .id_count = 3};
    const struct fetch sparse = {.ids = (int64_t[]){INT64_MIN, INT64_MAX}, .id_count = 2};
    int64_t ids[] = {1, 3, 5, 6, 9};
    cr_assert(fetch_present_is_dense(&dense));
    cr_assert_not(fetch_present_is_dense(&sparse));
    cr_assert_not(fetch_present_is_dense(&(struct fetch){.ids = ids, .id_count = 1}));
    cr_assert_eq(fetch_present_keep(ids, 5, dense.ids, 3), 2);
    cr_assert(ids[0] == 3 && ids[1] == 6);
}
