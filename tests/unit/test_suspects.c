#include <criterion/criterion.h>
#include <string.h>

#include "base/random.h"
#include "relay/core/suspects.h"

static struct suspects suspects;
static struct random numbers;
static const struct backoff waits = {.initial_us = 1000, .max_us = 50000};

static void
setup(void)
{
    random_seed(&numbers, 1);
}

TestSuite(suspects, .init = setup);

static void
add(uint32_t exchange, uint64_t now_us)
{
    suspects_add(&suspects, exchange, "404 no exchange", &waits, &numbers, now_us);
}

Test(suspects, nothing_is_suspected_at_first)
{
    cr_assert_null(suspects_find(&suspects, 7));
    cr_assert(suspects_try(&suspects, 7, &numbers, 0));
}

Test(suspects, one_may_go_after_a_wait_and_the_next_after_another)
{
    add(7, 100);
    cr_assert_str_eq(suspects_find(&suspects, 7)->reason, "404 no exchange");
    const uint64_t try_at_us = suspects_find(&suspects, 7)->try_at_us;
    cr_assert_geq(try_at_us, 1100);
    cr_assert_not(suspects_try(&suspects, 7, &numbers, try_at_us - 1));
    cr_assert(suspects_try(&suspects, 7, &numbers, try_at_us));
    cr_assert_not(suspects_try(&suspects, 7, &numbers, try_at_us), "one");
    cr_assert_geq(suspects_find(&suspects, 7)->try_at_us, try_at_us + 1000);
    cr_assert(suspects_try(&suspects, 8, &numbers, 100), "another exchange");
}

Test(suspects, waits_grow_up_to_a_limit)
{
    uint64_t now_us = 0;
    uint64_t longest_us = 0;
    add(7, now_us);
    for (int i = 0; i < 50; i++) {
        const uint64_t wait_us = suspects_find(&suspects, 7)->try_at_us - now_us;
        now_us += wait_us;
        longest_us = wait_us > longest_us ? wait_us : longest_us;
        cr_assert(suspects_try(&suspects, 7, &numbers, now_us));
    }
    cr_assert_gt(longest_us, 10000);
    cr_assert_leq(longest_us, 50000);
}

/* The message that was let through closes the channel again: the time of the next one was set when it was sent. */
Test(suspects, one_that_is_known_keeps_its_time)
{
    add(7, 100);
    const uint64_t try_at_us = suspects_find(&suspects, 7)->try_at_us;
    cr_assert(suspects_try(&suspects, 7, &numbers, try_at_us));
    const uint64_t next_us = suspects_find(&suspects, 7)->try_at_us;
    add(7, try_at_us + 1);
    cr_assert_eq(suspects_find(&suspects, 7)->try_at_us, next_us);
    cr_assert_eq(suspects.count, 1);
}

Test(suspects, is_cleared_when_the_broker_takes_one)
{
    add(7, 100);
    add(8, 100);
    suspects_clear(&suspects, 7);
    suspects_clear(&suspects, 9);
    cr_assert_null(suspects_find(&suspects, 7));
    cr_assert_not_null(suspects_find(&suspects, 8));
    cr_assert_eq(suspects.count, 1);
    cr_assert(suspects_try(&suspects, 7, &numbers, 100));
}

Test(suspects, remembers_so_many_and_forgets_none_for_another)
{
    for (uint32_t exchange = 1; exchange <= SUSPECTS_MAX + 5; exchange++) {
        add(exchange, 100);
    }
    cr_assert_eq(suspects.count, SUSPECTS_MAX);
    for (uint32_t exchange = 1; exchange <= SUSPECTS_MAX; exchange++) {
        cr_assert_not_null(suspects_find(&suspects, exchange));
    }
    cr_assert_null(suspects_find(&suspects, SUSPECTS_MAX + 1));
    suspects_clear(&suspects, 3);
    add(SUSPECTS_MAX + 1, 200);
    cr_assert_not_null(suspects_find(&suspects, SUSPECTS_MAX + 1));
}

Test(suspects, long_words_are_cut)
{
    char words[1000];
    memset(words, 'x', sizeof(words) - 1);
    words[sizeof(words) - 1] = '\0';
    suspects_add(&suspects, 7, words, &waits, &numbers, 100);
    cr_assert_eq(strlen(suspects_find(&suspects, 7)->reason),
                 sizeof(suspects_find(&suspects, 7)->reason) - 1);
}
