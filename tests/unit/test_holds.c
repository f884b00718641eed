#include <criterion/criterion.h>
#include <string.h>

#include "relay/core/holds.h"

static struct holds holds;

static void
teardown(void)
{
    holds_done(&holds);
}

TestSuite(holds, .fini = teardown);

static void
add(int64_t id, const char *reason)
{
    const struct hold hold = {.id = id, .state = HELD_RETRYING, .reason = reason};
    const struct hold_note note = {.subject = held_subject(id, 0, false), .fresh = true};
    holds_add(&holds, &hold, &note);
}

Test(holds, keeps_what_it_was_given_with_a_copy_of_the_reason)
{
    char reason[] = "unroutable";
    add(7, reason);
    add(8, NULL);
    memset(reason, 'x', strlen(reason));
    cr_assert_eq(holds.count, 2);
    cr_assert_eq(holds.items[0].id, 7);
    cr_assert_str_eq(holds.items[0].reason, "unroutable");
    cr_assert_eq(holds.notes[0].subject.value, 7);
    cr_assert(holds.notes[0].fresh);
    cr_assert_null(holds.items[1].reason);
}

Test(holds, grows)
{
    for (int64_t id = 1; id <= 1000; id++) {
        add(id, "because");
    }
    for (size_t i = 0; i < 1000; i++) {
        cr_assert_eq(holds.items[i].id, (int64_t)i + 1);
        cr_assert_eq(holds.notes[i].subject.value, (int64_t)i + 1);
        cr_assert_str_eq(holds.items[i].reason, "because");
    }
}

Test(holds, another_content_does_not_change_why_it_is_there)
{
    add(7, "first");
    const struct hold hold = {.id = 7, .state = HELD_DEAD, .attempts = 3, .reason = "second"};
    holds_replace(&holds, 0, &hold);
    cr_assert_eq(holds.count, 1);
    cr_assert_eq(holds.items[0].state, HELD_DEAD);
    cr_assert_eq(holds.items[0].attempts, 3);
    cr_assert_str_eq(holds.items[0].reason, "second");
    cr_assert(holds.notes[0].fresh);
    const struct hold without = {.id = 7, .state = HELD_WAITING};
    holds_replace(&holds, 0, &without);
    cr_assert_null(holds.items[0].reason);
}

/* Adds even ids to the given list. */
static bool
takes_even(void *context, const struct hold *hold, const struct hold_note *note)
{
    struct holds *even = context;
    if (hold->id % 2 == 0) {
        holds_add(even, hold, note);
        return true;
    }
    return false;
}

Test(holds, a_filter_takes_out_what_it_likes_and_keeps_the_order)
{
    struct holds even = {0};
    for (int64_t id = 1; id <= 6; id++) {
        add(id, "because");
    }
    holds_filter(&holds, takes_even, &even);
    cr_assert_eq(holds.count, 3);
    cr_assert_eq(even.count, 3);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(holds.items[i].id, 2 * (int64_t)i + 1);
        cr_assert_eq(holds.notes[i].subject.value, 2 * (int64_t)i + 1);
        cr_assert_str_eq(holds.items[i].reason, "because");
        cr_assert_eq(even.items[i].id, 2 * (int64_t)i + 2);
        cr_assert_str_eq(even.items[i].reason, "because");
    }
    holds_done(&even);
}

Test(holds, is_empty_when_cleared_and_can_be_filled_again)
{
    add(7, "first");
    holds_clear(&holds);
    cr_assert_eq(holds.count, 0);
    add(8, "second");
    cr_assert_eq(holds.items[0].id, 8);
    holds_done(&holds);
    cr_assert_eq(holds.capacity, 0);
}
