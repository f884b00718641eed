#include "relay/mysql/names.h"

#include <criterion/criterion.h>
#include <string.h>

static void
expect(const char *database, const char *expected)
{
    char name[MY_LOCK_BYTES];
    my_lock_name(database, name);
    cr_assert_str_eq(name, expected);
}

Test(mysql_names, a_plain_name_is_seen_in_the_lock)
{
    expect("shop", "outbox_relay_shop");
    expect("a23456789_b23456789_c23456789_d23456789_e23456789_1",
           "outbox_relay_a23456789_b23456789_c23456789_d23456789_e23456789_1");
}

/* Names of locks may be compared without regard to case and accents. */
Test(mysql_names, names_that_a_lock_may_not_tell_apart_have_a_hash)
{
    char names[4][MY_LOCK_BYTES];
    my_lock_name("shop", names[0]);
    my_lock_name("Shop", names[1]);
    my_lock_name("sHop", names[2]);
    my_lock_name("sh\xc3\xb6p", names[3]);
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < i; j++) {
            cr_assert_neq(strcasecmp(names[i], names[j]), 0);
        }
    }
    cr_assert_eq(strncmp(names[2], "outbox_relay_s_", strlen("outbox_relay_s_")), 0);
}

/* Different from the ownership's, and one for each session. */
Test(mysql_names, a_session_has_a_name_of_its_own)
{
    char mark[MY_MARK_BYTES];
    char other[MY_MARK_BYTES];
    my_mark_name("shop", mark);
    my_mark_name("Shop", other);
    cr_assert_str_neq(mark, other);
    cr_assert_eq(strlen(mark), MY_MARK_BYTES - 1);
    cr_assert_eq(mark[strlen(mark) - 1], '_');
    cr_assert_leq(strlen(mark) + strlen("18446744073709551615"), MY_LOCK_BYTES - 1);
}

Test(mysql_names, a_long_name_fits)
{
    char text[300];
    char name[MY_LOCK_BYTES];
    char other[MY_LOCK_BYTES];
    memset(text, 'x', sizeof(text));
    text[256] = '\0';
    my_lock_name(text, name);
    cr_assert_eq(strlen(name), MY_LOCK_BYTES - 1);
    text[255] = 'y';
    my_lock_name(text, other);
    cr_assert_str_neq(name, other);
}
