/* Leaks on purpose, and must fail under the sanitizers. Criterion ignores how a test's process ends, so without
 * abort_on_error in the environment a leak in any test would pass unseen; this shows that the gate is not dead. */
#include <criterion/criterion.h>
#include <stdlib.h>

Test(canary, leaks)
{
    volatile char *leak = malloc(100);
    cr_assert_not_null((const void *)leak);
    leak[0] = 1;
    leak = NULL;
}
