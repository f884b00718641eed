/* Leaks on purpose, and must fail under the sanitizers. Criterion ignores how a test's process ends, so without
 * abort_on_error in the environment a leak in any test would pass unseen; this shows that the gate is not dead. */
#include <criterion/criterion.h>
#include <stdlib.h>

Test(canary, leaks)
{
    char *volatile leak = malloc(100); /* volatile: the compiler must not see that it is lost */
    cr_assert_not_null(leak);
    leak = NULL;
}
