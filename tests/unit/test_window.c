#include <criterion/criterion.h>

#include "relay/core/window.h"

static struct window window;

static void
setup(void)
{
    window_init(&window, 6);
}

static void
teardown(void)
{
    window_done(&window);
}

TestSuite(window, .init = setup, .fini = teardown);

static void
push_ids(int64_t first, int64_t last)
{
    for (int64_t id = first; id <= last; id++) {
        window_push(&window, &(struct window_entry){.id = id, .bytes = 10});
    }
}

Test(window, tags_count_from_one)
{
    struct window_entry entry;
    push_ids(101, 103);
    cr_assert_eq(window.open, 3);
    cr_assert_eq(window.bytes, 30);
    cr_assert(window_take(&window, 2, &entry));
    cr_assert_eq(entry.id, 102);
    cr_assert_eq(window.open, 2);
    cr_assert_eq(window.bytes, 20);
}

Test(window, a_tag_is_taken_once)
{
    struct window_entry entry;
    push_ids(101, 101);
    cr_assert_not(window_take(&window, 0, &entry));
    cr_assert_not(window_take(&window, 2, &entry), "never given out");
    cr_assert(window_take(&window, 1, &entry));
    cr_assert_not(window_take(&window, 1, &entry));
}

Test(window, is_full_until_its_oldest_goes)
{
    struct window_entry entry;
    push_ids(1, 8); /* 6 rounded up to a power of two */
    cr_assert(window_is_full(&window));
    cr_assert(window_take(&window, 5, &entry));
    cr_assert(window_is_full(&window), "the place of tag 5 is free, but tag 9 needs that of tag 1");
    cr_assert(window_take(&window, 1, &entry));
    cr_assert_not(window_is_full(&window));
}

Test(window, oldest_passes_over_what_was_taken)
{
    struct window_entry entry;
    push_ids(1, 4);
    cr_assert_eq(window_oldest(&window), 1);
    cr_assert(window_take(&window, 2, &entry));
    cr_assert(window_take(&window, 1, &entry));
    cr_assert_eq(window_oldest(&window), 3);
    cr_assert(window_take(&window, 3, &entry));
    cr_assert(window_take(&window, 4, &entry));
    cr_assert_eq(window_oldest(&window), window.next);
}

Test(window, goes_round)
{
    struct window_entry entry;
    for (uint64_t tag = 1; tag <= 100; tag++) {
        push_ids((int64_t)tag, (int64_t)tag);
        cr_assert(window_take(&window, tag, &entry));
        cr_assert_eq(entry.id, (int64_t)tag);
    }
}

Test(window, finds_the_copy_that_was_not_returned)
{
    push_ids(7, 7);
    push_ids(7, 7); /* it was returned, and sent again before its confirm came */
    window_find_unreturned(&window, 7)->returned = true;
    struct window_entry *second = window_find_unreturned(&window, 7);
    cr_assert_not_null(second);
    cr_assert_not(second->returned);
    second->returned = true;
    cr_assert_null(window_find_unreturned(&window, 7));
}

Test(window, a_new_channel_starts_at_one_again)
{
    struct window_entry entry;
    push_ids(1, 5);
    window_clear(&window);
    cr_assert_eq(window.open, 0);
    cr_assert_eq(window.bytes, 0);
    push_ids(50, 50);
    cr_assert(window_take(&window, 1, &entry));
    cr_assert_eq(entry.id, 50);
}

Test(window, what_is_abandoned_still_has_its_tags)
{
    struct window_entry entry;
    push_ids(1, 2);
    cr_assert_eq(window_abandon(&window), 2);
    push_ids(3, 3);
    cr_assert(window_take(&window, 1, &entry));
    cr_assert(entry.abandoned);
    cr_assert(window_take(&window, 3, &entry));
    cr_assert_not(entry.abandoned);
    cr_assert_eq(window.open, 1);
}

Test(window, doubt_is_cast_on_all_copies_that_may_have_been_returned)
{
    struct window_entry entry;
    for (int copy = 0; copy < 3; copy++) {
        push_ids(7, 8);
    }
    window_find_unreturned(&window, 7)->returned = true;
    window_doubt(&window, 7);
    for (uint64_t tag = 1; tag <= 6; tag++) {
        cr_assert(window_take(&window, tag, &entry));
        cr_assert_eq(entry.doubtful, tag == 3 || tag == 5);
    }
}

static void
push_to(int64_t id, uint32_t exchange)
{
    window_push(&window, &(struct window_entry){.id = id, .exchange = exchange});
}

Test(window, finds_the_oldest_for_an_exchange)
{
    struct window_entry entry;
    push_to(1, 70);
    push_to(2, 71);
    push_to(3, 70);
    push_to(4, 71);
    cr_assert_eq(window_find_exchange(&window, 70), 1);
    cr_assert_eq(window_find_exchange(&window, 71), 2);
    cr_assert_eq(window_find_exchange(&window, 72), window.next, "there is none");
    cr_assert(window_take(&window, 2, &entry));
    cr_assert_eq(window_find_exchange(&window, 71), 4, "what is confirmed is not looked at");
    cr_assert(window_take(&window, 4, &entry));
    cr_assert_eq(window_find_exchange(&window, 71), window.next);
}

Test(window, each_place_is_as_it_was_pushed)
{
    const struct window_entry pushed = {
        .id = 7, .key_hash = -3, .published_us = 5, .exchange = 70, .ordered = true, .probe = true};
    struct window_entry entry;
    window_push(&window, &pushed);
    push_ids(8, 9);
    cr_assert_eq(window_at(&window, 1)->key_hash, -3);
    cr_assert_eq(window_at(&window, 3)->id, 9);
    cr_assert(window_take(&window, 1, &entry));
    cr_assert_eq(entry.key_hash, -3);
    cr_assert_eq(entry.published_us, 5);
    cr_assert_eq(entry.exchange, 70);
    cr_assert(entry.ordered);
    cr_assert(entry.probe);
}

Test(window, finds_nothing_of_what_is_through)
{
    struct window_entry entry;
    push_ids(7, 8);
    cr_assert(window_take(&window, 1, &entry));
    cr_assert_null(window_find_unreturned(&window, 7));
    cr_assert_eq(window_find_unreturned(&window, 8)->id, 8);
}

static void
add_up(void *context, int64_t id)
{
    *(int64_t *)context += id;
}

Test(window, visits_what_may_still_be_confirmed)
{
    struct window_entry entry;
    int64_t sum = 0;
    push_ids(1, 3);
    cr_assert_eq(window_abandon(&window), 3);
    push_ids(10, 12);
    cr_assert(window_take(&window, 4, &entry)); /* 10 */
    window_find_unreturned(&window, 11)->returned = true;
    window_each(&window, add_up, &sum);
    cr_assert_eq(sum, 12);
    cr_assert_eq(window_abandon(&window), 1);
}

Test(window, knows_the_highest_id_that_is_pending)
{
    struct window_entry entry;
    cr_assert_eq(window_highest_id(&window, INT64_MIN), INT64_MIN);
    push_ids(-3, -1);
    cr_assert_eq(window_highest_id(&window, INT64_MIN), -1);
    cr_assert(window_take(&window, 3, &entry));
    cr_assert_eq(window_highest_id(&window, INT64_MIN), -2);
    cr_assert_eq(window_highest_id(&window, 7), 7);
}

/* Its entries move as it grows, wherever the ring begins; those that were taken do not come back. */
Test(window, grows_with_what_is_under_way)
{
    struct window_entry entry;
    struct window large;
    window_init(&large, 1000);
    for (int64_t id = 1; id <= 50; id++) {
        window_push(&large, &(struct window_entry){.id = id, .bytes = 1});
        cr_assert(id > 40 || window_take(&large, (uint64_t)id, &entry));
    }
    for (int64_t id = 51; id <= 1064; id++) {
        cr_assert_not(window_is_full(&large));
        window_push(&large, &(struct window_entry){.id = id, .bytes = 1});
        cr_assert(id % 2 == 0 || window_take(&large, (uint64_t)id, &entry));
    }
    cr_assert(window_is_full(&large), "of 1024 places, from 41 on");
    cr_assert_eq(large.open, 10 + 1014 / 2);
    for (uint64_t tag = 41; tag <= 1064; tag++) {
        const bool taken = tag > 50 && tag % 2 == 1;
        cr_assert_eq(window_take(&large, tag, &entry), !taken, "tag %llu", (unsigned long long)tag);
        cr_assert(taken || entry.id == (int64_t)tag);
    }
    cr_assert_eq(large.open, 0);
    cr_assert_eq(large.bytes, 0);
    window_done(&large);
}
