/* Leaks on purpose, and must fail with the sanitizers. Criterion ignores how a test's process ends, so without
 * abort_on_error in the environment a leak in any test would not be noticed; this test shows that it is. */
#include <criterion/criterion.h>
#include <stdlib.h>

Test(canary, leaks)
{
    char *volatile leak = malloc(100); /* volatile, so that the compiler does not notice the leak */
    cr_assert_not_null(leak);
    leak = NULL;
}
