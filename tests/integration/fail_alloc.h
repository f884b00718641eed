/* tests/integration/fail_alloc.h - makes the n-th allocation of the code under test fail. The test is linked with
 * -Wl,--wrap=malloc and so on, which reaches what is linked statically and leaves libpq, hiredis and libc alone. */
#ifndef TESTS_INTEGRATION_FAIL_ALLOC_H
#define TESTS_INTEGRATION_FAIL_ALLOC_H

#include <stdbool.h>

/* From now on, the allocation number `nth` fails, once; the next is number 1. 0: none does. */
void fail_alloc_arm(unsigned nth);

/* Whether it came to that. */
bool fail_alloc_happened(void);

#endif
