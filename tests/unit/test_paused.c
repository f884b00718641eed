#include <criterion/criterion.h>

#include "base/clock.h"
#include "relay/paused.h"

static struct paused paused;

static void
setup(void)
{
    paused_init(&paused);
}

static void
teardown(void)
{
    paused_done(&paused);
}

TestSuite(paused, .init = setup, .fini = teardown);

Test(paused, a_key_and_a_message_with_the_same_number_differ)
{
    (void)paused_add(&paused, paused_subject(7, 99, true), 7, 0, 10); /* looked up below */
    cr_assert_not_null(paused_find(&paused, paused_subject(8, 99, true)),
                       "another message of the key");
    cr_assert_null(paused_find(&paused, paused_subject(99, 0, false)),
                   "the unordered message with id 99");
    cr_assert_eq(paused.count, 1);
    cr_assert_eq(paused.ordered_count, 1);
}

Test(paused, gives_heads_when_they_are_due)
{
    int64_t ids[4];
    struct paused_entry *first = paused_add(&paused, paused_subject(1, 0, false), 1, 0, 100);
    struct paused_entry *second = paused_add(&paused, paused_subject(2, 0, false), 2, 0, 200);
    cr_assert_eq(paused.next_retry_us, 100);
    cr_assert_eq(paused_due(&paused, 99, ids, 4), 0);
    cr_assert_eq(paused_due(&paused, 100, ids, 4), 1);
    cr_assert_eq(ids[0], 1);
    cr_assert_eq(first->state, PAUSED_FETCHING);
    cr_assert_eq(second->state, PAUSED_WAITING);
    cr_assert_eq(paused.next_retry_us, 200);
    cr_assert_eq(paused_due(&paused, 100, ids, 4), 0, "given once");
}

Test(paused, gives_no_more_than_asked_for_and_the_rest_at_once)
{
    int64_t ids[4];
    for (int64_t id = 1; id <= 6; id++) {
        (void)paused_add(&paused, paused_subject(id, 0, false), id, 0, 100); /* given below */
    }
    cr_assert_eq(paused_due(&paused, 100, ids, 4), 4);
    cr_assert_eq(paused.next_retry_us, 100);
    cr_assert_eq(paused_due(&paused, 100, ids, 4), 2);
    cr_assert_eq(paused.next_retry_us, CLOCK_NEVER_US);
}

Test(paused, rewinds_only_the_state_it_is_told)
{
    int64_t ids[4];
    struct paused_entry *fetching = paused_add(&paused, paused_subject(1, 0, false), 1, 0, 100);
    struct paused_entry *probing = paused_add(&paused, paused_subject(2, 0, false), 2, 0, 100);
    cr_assert_eq(paused_due(&paused, 100, ids, 4), 2);
    probing->state = PAUSED_PROBING;
    paused_rewind(&paused, PAUSED_FETCHING, 150);
    cr_assert_eq(fetching->state, PAUSED_WAITING);
    cr_assert_eq(fetching->attempts, 1, "it costs no attempt");
    cr_assert_eq(probing->state, PAUSED_PROBING);
    cr_assert_eq(paused.next_retry_us, 150);
}
