#include <criterion/criterion.h>

#include "base/clock.h"
#include "relay/core/cursor.h"
#include "relay/core/held.h"

static struct held held;

static void
setup(void)
{
    held_init(&held);
}

static void
teardown(void)
{
    held_clear(&held);
}

TestSuite(held, .init = setup, .fini = teardown);

static struct held_entry *
add_message(int64_t id, uint64_t retry_at_us)
{
    return held_add(&held, held_subject(id, 0, false), id, retry_at_us);
}

Test(held, a_key_and_a_message_with_the_same_number_differ)
{
    const struct held_entry *key = held_add(&held, held_subject(7, 99, true), 7, 10);
    cr_assert_eq(held_find(&held, held_subject(8, 99, true)), key, "another message of the key");
    cr_assert_null(held_find(&held, held_subject(99, 0, false)), "the message with id 99");
    const struct held_entry *message = held_add(&held, held_subject(99, 0, false), 99, 20);
    cr_assert_eq(held_find(&held, held_subject(99, 5, false)), message, "it has no key");
    cr_assert_neq(key, message);
    cr_assert_eq(held.count, 2);
}

Test(held, a_new_one_is_tried_at_its_time_and_limits_its_key)
{
    const struct held_entry *entry = held_add(&held, held_subject(7, 99, true), 7, 10);
    cr_assert_eq(entry->stage, HELD_STAGE_RETRYING);
    cr_assert_eq(entry->head_id, 7);
    cr_assert_eq(entry->limit_id, 7);
    cr_assert_eq(entry->floor_id, CURSOR_NONE);
    cr_assert_eq(entry->retry_at_us, 10);
    cr_assert_eq(held.next_retry_us, 10);
}

Test(held, knows_when_the_first_is_due)
{
    cr_assert_eq(held.next_retry_us, CLOCK_NEVER_US);
    struct held_entry *first = add_message(1, 300);
    struct held_entry *second = add_message(2, 200);
    cr_assert_eq(held.next_retry_us, 200);
    held_retry(&held, first, 100);
    cr_assert_eq(held.next_retry_us, 100);
    held_stage(&held, first, HELD_STAGE_PROBING);
    held_plan(&held);
    cr_assert_eq(held.next_retry_us, 200);
    held_stage(&held, second, HELD_STAGE_DEAD);
    held_plan(&held);
    cr_assert_eq(held.next_retry_us, CLOCK_NEVER_US);
}

Test(held, counts_those_that_go_back)
{
    struct held_entry *first = add_message(1, 100);
    struct held_entry *second = add_message(2, 100);
    held_stage(&held, first, HELD_STAGE_RELEASING);
    held_stage(&held, first, HELD_STAGE_RELEASING);
    held_stage(&held, second, HELD_STAGE_RELEASING);
    cr_assert_eq(held.releasing_count, 2);
    held_retry(&held, first, 200);
    cr_assert_eq(held.releasing_count, 1);
    held_remove(&held, second);
    cr_assert_eq(held.releasing_count, 0);
    cr_assert_eq(held.count, 1);
    cr_assert_null(held_find(&held, held_subject(2, 0, false)));
}

/* An answer that was asked for before a change must not undo it. */
Test(held, every_change_has_a_number_of_its_own)
{
    struct held_entry *first = add_message(1, 100);
    struct held_entry *second = add_message(2, 100);
    const uint64_t asked = held.changes;
    cr_assert_leq(first->change, asked);
    cr_assert_leq(second->change, asked);
    held_retry(&held, first, 100);
    cr_assert_gt(first->change, asked);
    cr_assert_leq(second->change, asked);
    held_stage(&held, second, HELD_STAGE_DEAD);
    cr_assert_gt(second->change, first->change);
}

Test(held, a_new_stage_may_be_fetched_again)
{
    struct held_entry *entry = add_message(1, 100);
    entry->apart = true;
    held_stage(&held, entry, HELD_STAGE_PROBING);
    cr_assert_not(entry->apart);
    entry->apart = true;
    held_retry(&held, entry, 200);
    cr_assert_not(entry->apart);
}

Test(held, is_empty_when_cleared)
{
    for (int64_t id = 1; id <= 1000; id++) {
        held_stage(&held, add_message(id, 100), HELD_STAGE_RELEASING);
    }
    cr_assert_eq(held.count, 1000);
    held_clear(&held);
    cr_assert_eq(held.count, 0);
    cr_assert_eq(held.releasing_count, 0);
    cr_assert_eq(held.next_retry_us, CLOCK_NEVER_US);
    cr_assert_null(held_find(&held, held_subject(1, 0, false)));
}

/* Row ids are consecutive; the lower bits of their hashes, which choose the bucket, must differ. */
Test(held, ids_that_follow_one_another_spread)
{
    enum { BUCKETS = 256 };
    unsigned in_bucket[BUCKETS] = {0};
    unsigned most = 0;
    for (int64_t id = 0; id < 4 * BUCKETS; id++) {
        const struct held_subject subject = held_subject(id * 1024, 0, false);
        unsigned *count = &in_bucket[held_hash(&subject, sizeof(subject)) % BUCKETS];
        (*count)++;
        most = *count > most ? *count : most;
    }
    cr_assert_leq(most, 16, "%u of %d in one of %d", most, 4 * BUCKETS, BUCKETS);
}
