#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "relay/postgres/hash.h"

#define LENGTH_MAX 40

static const char text[] = "abcdefghijklmnopqrstuvwxyz0123456789ABCD";

/* From PostgreSQL 15: select hashtextextended(left('abc…ABCD', n), 0) from generate_series(0, 40) as n */
static const int64_t by_length[LENGTH_MAX + 1] = {
    INT64_C(-6939563903564495251), INT64_C(3591986179850072241),  INT64_C(2833316173711343549),
    INT64_C(-6747756470228489321), INT64_C(-1038429303365892052), INT64_C(3076356108696143428),
    INT64_C(290958262752763840),   INT64_C(-6158032784613548338), INT64_C(-8882191227074733005),
    INT64_C(-3278210106038014113), INT64_C(-3183301415634409076), INT64_C(3112909444737856467),
    INT64_C(-7556637188122330412), INT64_C(8871624171452417744),  INT64_C(4973135103275945525),
    INT64_C(9043359162837317271),  INT64_C(878954068520307163),   INT64_C(981995727863167554),
    INT64_C(484589330715449564),   INT64_C(-232611774418841497),  INT64_C(772495730612720881),
    INT64_C(7996419909667933074),  INT64_C(5065299895581918398),  INT64_C(-1198571854151947912),
    INT64_C(-1933194731779935345), INT64_C(5649064133428767341),  INT64_C(-6612928417832572997),
    INT64_C(-2380771206696995028), INT64_C(6812267027916543695),  INT64_C(945567879077619982),
    INT64_C(-6220525620039254070), INT64_C(2158826814634153154),  INT64_C(3549018472450668904),
    INT64_C(5090768811159989509),  INT64_C(8980361962424279172),  INT64_C(-7327977299585643623),
    INT64_C(-9049552497159076100), INT64_C(3585635575684526821),  INT64_C(-7945884355249891368),
    INT64_C(4463852556669114991),  INT64_C(7005817330312134559),
};

/* The text has memory of its own size, so the sanitizer notices a read past its end. */
static int64_t
hash_of(const char *of, size_t size)
{
    char *const exact = malloc(size > 0 ? size : 1);
    cr_assert_not_null(exact);
    memcpy(exact, of, size);
    const int64_t hash = pg_hash_text(exact, size);
    free(exact);
    return hash;
}

Test(postgres_hash, every_length_gives_what_the_server_gives)
{
    for (size_t size = 0; size <= LENGTH_MAX; size++) {
        cr_assert_eq(hash_of(text, size), by_length[size], "of length %zu", size);
    }
}

Test(postgres_hash, bytes_above_127_are_not_negative)
{
    static const struct {
        const char *text;
        int64_t hash;
    } words[] = {
        {"K\303\266ln", INT64_C(-2582569865832060999)},
        {"\320\272\320\273\321\216\321\207", INT64_C(2835016810653770112)},
        {"\360\237\220\230", INT64_C(-2321601135681841783)},
        {"\303\277\303\277\303\277\303\277\303\277\303\277\303\277\303\277\303\277\303\277\303\277",
         INT64_C(-3161086939171882335)},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        cr_assert_eq(hash_of(words[i].text, strlen(words[i].text)), words[i].hash, "of %s",
                     words[i].text);
    }
}

Test(postgres_hash, a_long_text)
{
    char orders[1100 + 1] = "";
    for (size_t i = 0; i < 100; i++) {
        memcpy(orders + 11 * i, "order-4711/", 11);
    }
    cr_assert_eq(hash_of(orders, 1100), INT64_C(-4915937014714213596));
}

Test(postgres_hash, the_probe)
{
    cr_assert_eq(hash_of(pg_hash_probe, strlen(pg_hash_probe)), INT64_C(-5056131826690962868));
}

Test(postgres_hash, no_text_is_hashed_as_an_empty_one)
{
    cr_assert_eq(pg_hash_text(NULL, 0), by_length[0]);
}
