#include <criterion/criterion.h>
#include <string.h>

#include "base/error.h"

Test(error, set_returns_false_and_fills)
{
    struct error error;
    cr_assert_not(error_set(&error, ERROR_CONFIG, "no %s at %d", "host", 7));
    cr_assert_eq(error.class, ERROR_CONFIG);
    cr_assert_str_eq(error.text, "no host at 7");
}

Test(error, null_is_allowed)
{
    cr_assert_not(error_set(NULL, ERROR_CONFIG, "nobody looks"));
    cr_assert_not(error_prefix(NULL, "nobody looks"));
}

Test(error, prefix_keeps_class_and_text)
{
    struct error error;
    (void)error_set(&error, ERROR_MESSAGE, "too long"); /* always false */
    cr_assert_not(error_prefix(&error, "row %d", 5));
    cr_assert_eq(error.class, ERROR_MESSAGE);
    cr_assert_str_eq(error.text, "row 5: too long");
}

Test(error, long_text_is_cut)
{
    char longer[1000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    struct error error;
    (void)error_set(&error, ERROR_TRANSIENT, "%s", longer); /* always false */
    cr_assert_eq(strlen(error.text), sizeof(error.text) - 1);
}

Test(error, may_quote_its_own_text)
{
    struct error error;
    (void)error_set(&error, ERROR_TRANSIENT, "inner");                  /* always false */
    (void)error_set(&error, ERROR_CONNECTION, "outer: %s", error.text); /* always false */
    cr_assert_str_eq(error.text, "outer: inner");
}
