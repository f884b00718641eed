#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "relay/ports/source.h"

static void
count_frees(void *owner)
{
    ++*(int *)owner;
}

Test(source, a_batch_frees_its_owner_once)
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

Test(source, a_batch_needs_neither_rows_nor_owner)
{
    batch_free(calloc(1, sizeof(struct batch)));
    batch_free(NULL);
}

Test(source, an_event_that_nobody_took_frees_what_it_points_to)
{
    int frees = 0;
    for (int i = 0; i < 2; i++) {
        struct batch *batch = calloc(1, sizeof(*batch));
        *batch = (struct batch){.owner = &frees, .free_owner = count_frees};
        struct source_event event = {.type = i == 0 ? SOURCE_ROWS : SOURCE_LOG};
        if (i == 0) {
            event.rows = batch;
        } else {
            event.log.batch = batch;
        }
        source_event_done(&event);
        cr_assert_eq(frees, i + 1);
    }
}

/* An error's text is in the place where other events have pointers. */
Test(source, an_event_without_pointers_frees_nothing)
{
    struct source_event event = {.type = SOURCE_LOST};
    memset(event.lost.text, 'x', sizeof(event.lost.text));
    source_event_done(&event);
    event.type = SOURCE_NOTICE;
    source_event_done(&event);
}

Test(source, failures_are_kept_in_their_order)
{
    struct source_failures failures = {0};
    char words[2 * sizeof(failures.items->reason)];
    memset(words, 'x', sizeof(words) - 1);
    words[sizeof(words) - 1] = '\0';
    for (int64_t id = 1; id <= 100; id++) {
        source_failures_add(&failures, id, -id, id == 1 ? words : "why");
    }
    struct source_failures taken = source_failures_take(&failures);
    cr_assert_eq(failures.count, 0, "they were taken");
    cr_assert_eq(taken.count, 100);
    cr_assert_eq(strlen(taken.items[0].reason), sizeof(taken.items[0].reason) - 1);
    cr_assert(taken.items[99].id == 100 && taken.items[99].key_hash == -100);
    cr_assert_str_eq(taken.items[99].reason, "why");
    source_failures_clear(&taken);
    cr_assert_null(taken.items);
}
