/* tests/integration/fail_alloc.h - makes the n-th allocation of the code under test fail. The test is linked with
 * -Wl,--wrap=malloc and so on, which affects statically linked code, but not libpq, hiredis and libc. */
#ifndef TESTS_INTEGRATION_FAIL_ALLOC_H
#define TESTS_INTEGRATION_FAIL_ALLOC_H

#include <stdbool.h>

/* Makes the nth allocation from now on fail, once; 0: none. */
void fail_alloc_arm(unsigned nth);

/* True if that allocation was reached. */
bool fail_alloc_happened(void);

#endif
