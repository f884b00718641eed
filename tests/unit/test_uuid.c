#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"
#include "base/uuid.h"

Test(uuid, version_variant_and_time)
{
    const uint64_t before_ms = clock_wall_us() / 1000;
    uint8_t uuid[UUID_BYTES];
    uuid_v7(uuid);
    uint64_t ms = 0;
    for (int i = 0; i < 6; i++) {
        ms = ms << 8 | uuid[i];
    }
    cr_assert_eq(uuid[6] >> 4, 7);
    cr_assert_eq(uuid[8] >> 6, 2);
    cr_assert_geq(ms, before_ms);
    cr_assert_leq(ms, clock_wall_us() / 1000);
}

Test(uuid, two_ids_differ)
{
    uint8_t a[UUID_BYTES];
    uint8_t b[UUID_BYTES];
    uuid_v7(a);
    uuid_v7(b);
    cr_assert_neq(memcmp(a, b, sizeof(a)), 0);
}

Test(uuid, text_and_back)
{
    uint8_t uuid[UUID_BYTES];
    uint8_t again[UUID_BYTES];
    char text[UUID_TEXT_BYTES];
    cr_assert(uuid_parse("0190163D-8694-739b-aea5-966c26f8ad91", 36, uuid));
    uuid_format(uuid, text);
    cr_assert_str_eq(text, "0190163d-8694-739b-aea5-966c26f8ad91");
    cr_assert(uuid_parse(text, 36, again));
    cr_assert_arr_eq(uuid, again, UUID_BYTES);
}

Test(uuid, refuses_what_is_no_uuid)
{
    static const char *const bad[] = {
        "",
        "0190163d-8694-739b-aea5-966c26f8ad9",
        "0190163d-8694-739b-aea5-966c26f8ad911",
        "0190163d086940739b0aea50966c26f8ad91",
        "0190163d-8694-739b-aea5-966c26f8adg1",
        "-190163d-8694-739b-aea5-966c26f8ad91",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t uuid[UUID_BYTES] = {0xaa};
        cr_assert_not(uuid_parse(bad[i], strlen(bad[i]), uuid), "accepted %s", bad[i]);
        cr_assert_eq(uuid[0], 0xaa, "touched the result");
    }
}
