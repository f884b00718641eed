#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/memory.h"

Test(memory, is_zeroed_and_never_null)
{
    int *numbers = memory_array(100, sizeof(int));
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(numbers[i], 0);
    }
    memory_free(numbers);
    void *nothing = memory_array(0, 8);
    cr_assert_not_null(nothing);
    memory_free(nothing);
    char *copy = memory_string("text");
    cr_assert_str_eq(copy, "text");
    memory_free(copy);
}

Test(memory, ends_the_process_when_there_is_none, .signal = SIGABRT)
{
    volatile size_t too_much = SIZE_MAX / 16; /* volatile, because the compiler would refuse it */
    memory_free(memory_array(too_much, 8));
}

/* Promise: a core dump, which contains passwords, is made only on request. */
Test(memory, is_dumped_only_on_request)
{
    struct rlimit limit;
    cr_assert_eq(prctl(PR_GET_DUMPABLE), 1);
    cr_assert_eq(setenv("OUTBOX_RELAY_CORE_DUMPS", "yes", 1), 0);
    memory_hide();
    cr_assert_eq(prctl(PR_GET_DUMPABLE), 1);
    cr_assert_eq(setenv("OUTBOX_RELAY_CORE_DUMPS", "no", 1), 0);
    memory_hide();
    cr_assert_eq(prctl(PR_GET_DUMPABLE), 0);
    cr_assert_eq(getrlimit(RLIMIT_CORE, &limit), 0);
    cr_assert_eq(limit.rlim_cur + limit.rlim_max, 0);
}
