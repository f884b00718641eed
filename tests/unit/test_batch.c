#include <criterion/criterion.h>
#include <stdlib.h>

#include "relay/ports/source.h"

static void
count_frees(void *owner)
{
    ++*(int *)owner;
}

Test(batch, frees_its_owner_once)
{
    int frees = 0;
    struct batch *batch = calloc(1, sizeof(*batch));
    *batch = (struct batch){
        .rows = calloc(3, sizeof(struct row)),
        .owner = &frees,
        .free_owner = count_frees,
    };
    batch_free(batch);
    cr_assert_eq(frees, 1);
}

Test(batch, needs_neither_rows_nor_owner)
{
    batch_free(calloc(1, sizeof(struct batch)));
    batch_free(NULL);
}
