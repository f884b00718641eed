#include <criterion/criterion.h>
#include <stdlib.h>

#include "relay/ports/events.h"

static struct source_events events;

/* Several times around the ring. */
Test(events, come_in_the_order_in_which_they_were_told)
{
    struct source_event event;
    uint64_t told = 0;
    uint64_t taken = 0;
    while (told < 10 * SOURCE_EVENTS_MAX) {
        for (int i = 0; i < 7; i++) {
            source_events_push(&events, SOURCE_FINAL, told)->final.id = (int64_t)told;
            told++;
        }
        for (int i = 0; i < 5 || !source_events_have_room(&events); i++) {
            cr_assert(source_events_take(&events, &event));
            cr_assert_eq(event.lease_until_us, taken);
            cr_assert_eq(event.final.id, (int64_t)taken);
            taken++;
        }
    }
    while (source_events_take(&events, &event)) {
        taken++;
    }
    cr_assert_eq(taken, told);
}

/* Nothing of an earlier event in the same place is left. */
Test(events, one_that_is_pushed_is_empty)
{
    struct source_event event;
    for (int i = 0; i <= SOURCE_EVENTS_MAX; i++) {
        struct source_event *pushed = source_events_push(&events, SOURCE_SETTLED, 0);
        cr_assert_eq(pushed->settled.failures.count, 0);
        pushed->settled.failures.count = 1;
        cr_assert(source_events_take(&events, &event));
    }
}

Test(events, many_that_say_nothing_but_the_lease_are_one)
{
    struct source_event event;
    source_events_alive(&events, 1);
    source_events_alive(&events, 2);
    source_events_push(&events, SOURCE_STANDBY, 3);
    source_events_alive(&events, 4);
    cr_assert(source_events_take(&events, &event));
    cr_assert(event.type == SOURCE_ALIVE && event.lease_until_us == 2);
    cr_assert(source_events_take(&events, &event));
    cr_assert_eq(event.type, SOURCE_STANDBY);
    cr_assert(source_events_take(&events, &event));
    cr_assert(event.type == SOURCE_ALIVE && event.lease_until_us == 4);
    cr_assert_not(source_events_take(&events, &event));
}

Test(events, what_nobody_took_is_freed)
{
    source_events_push(&events, SOURCE_ROWS, 0)->rows = calloc(1, sizeof(struct batch));
    source_events_push(&events, SOURCE_PRESENT, 0)->present.ids = malloc(sizeof(int64_t));
    source_events_done(&events);
    struct source_event event;
    cr_assert_not(source_events_take(&events, &event));
}
