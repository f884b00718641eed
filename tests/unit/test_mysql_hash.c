#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "relay/mysql/hash.h"

static struct my_hash hash;

static void
setup(void)
{
    my_hash_init(&hash);
}

static void
teardown(void)
{
    my_hash_done(&hash);
}

TestSuite(mysql_hash, .init = setup, .fini = teardown);

/* The text alone in its memory: a read past its end is seen by the sanitizer. */
static int64_t
hash_of(const char *text)
{
    const size_t size = strlen(text);
    char *const exact = malloc(size > 0 ? size : 1);
    cr_assert_not_null(exact);
    memcpy(exact, text, size);
    const int64_t result = my_hash_text(&hash, exact, size);
    free(exact);
    return result;
}

/* From MariaDB 10.11: select cast(conv(left(sha1('…'), 15), 16, 10) as signed) */
Test(mysql_hash, as_the_server_has_it)
{
    static const struct {
        const char *text;
        int64_t hash;
    } keys[] = {
        {"", INT64_C(982798738632651952)},
        {"order-4711", INT64_C(13968159927198591)},
        {"K\303\266ln", INT64_C(776618209256711123)},
        {"a", INT64_C(607843303088085631)},
        {"A", INT64_C(494504040933658158)},
        {"a ", INT64_C(664362557311357005)},
        {"\360\237\220\230", INT64_C(460704709006521687)},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        cr_assert_eq(hash_of(keys[i].text), keys[i].hash, "of %s", keys[i].text);
    }
}

Test(mysql_hash, a_long_key)
{
    char key[1024 + 1];
    memset(key, 'k', 1024);
    key[1024] = '\0';
    cr_assert_eq(hash_of(key), INT64_C(50024278302539197));
}

Test(mysql_hash, no_text_is_hashed_as_an_empty_one)
{
    cr_assert_eq(my_hash_text(&hash, NULL, 0), hash_of(""));
}
