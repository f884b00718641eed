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

/* The text has memory of its own size, so the sanitizer notices a read past its end. */
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

/* From MariaDB 10.11: select cast(conv(left(sha2('…', 256), 15), 16, 10) as signed) */
Test(mysql_hash, as_the_server_has_it)
{
    static const struct {
        const char *text;
        int64_t hash;
    } keys[] = {
        {"", INT64_C(1025426827051516353)},
        {"order-4711", INT64_C(104656867186193433)},
        {"K\303\266ln", INT64_C(301940170899648276)},
        {"a", INT64_C(912392414677810140)},
        {"A", INT64_C(385531301306191191)},
        {"a ", INT64_C(457183314472009010)},
        {"\360\237\220\230", INT64_C(1147045808809827817)},
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
    cr_assert_eq(hash_of(key), INT64_C(1131026578067131660));
}

Test(mysql_hash, no_text_is_hashed_as_an_empty_one)
{
    cr_assert_eq(my_hash_text(&hash, NULL, 0), hash_of(""));
}
