#include <criterion/criterion.h>

#include "base/random.h"
#include "relay/core/busy.h"

static struct busy busy;

static void
teardown(void)
{
    busy_done(&busy);
}

TestSuite(busy, .fini = teardown);

Test(busy, a_key_is_busy_until_its_last_message_is_through)
{
    busy_init(&busy);
    cr_assert_not(busy_has(&busy, 5));
    busy_add(&busy, 5);
    busy_add(&busy, 5);
    busy_remove(&busy, 5);
    cr_assert(busy_has(&busy, 5));
    cr_assert_not(busy_has(&busy, 6));
    busy_remove(&busy, 5);
    cr_assert_not(busy_has(&busy, 5));
}

Test(busy, any_hash_is_a_key)
{
    static const int64_t keys[] = {0, -1, 1, INT64_MIN, INT64_MAX};
    busy_init(&busy);
    for (size_t i = 0; i < 5; i++) {
        cr_assert_not(busy_has(&busy, keys[i]));
        busy_add(&busy, keys[i]);
        cr_assert(busy_has(&busy, keys[i]));
    }
    for (size_t i = 0; i < 5; i++) {
        busy_remove(&busy, keys[i]);
        cr_assert_not(busy_has(&busy, keys[i]));
    }
}

Test(busy, grows_with_its_keys)
{
    busy_init(&busy);
    for (int64_t key = 0; key < 1000; key++) {
        busy_add(&busy, key);
    }
    for (int64_t key = 0; key < 1000; key++) {
        cr_assert(busy_has(&busy, key));
        cr_assert_not(busy_has(&busy, key + 1000));
    }
}

/* Compared with a plain array, with so few places that keys collide all the time. */
Test(busy, comes_and_goes_like_a_plain_count)
{
    enum { KEYS = 40 };
    unsigned counts[KEYS] = {0};
    unsigned keys = 0;
    struct random numbers;
    random_seed(&numbers, 7);
    busy_init(&busy);
    for (int i = 0; i < 200000; i++) {
        const uint64_t key = random_between(&numbers, 0, KEYS - 1);
        if (random_chance(&numbers, 50) && (counts[key] > 0 || keys < 8)) {
            keys += counts[key]++ == 0;
            busy_add(&busy, (int64_t)key << 40);
        } else if (counts[key] > 0) {
            keys -= --counts[key] == 0;
            busy_remove(&busy, (int64_t)key << 40);
        }
        const uint64_t other = random_between(&numbers, 0, KEYS - 1);
        cr_assert_eq(busy_has(&busy, (int64_t)other << 40), counts[other] > 0);
    }
}
