#include <criterion/criterion.h>

#include "relay/core/queue.h"

#define CAPACITY 4

static struct queue queue;
static struct row rows[100];

static void
setup(void)
{
    queue_init(&queue, CAPACITY);
    for (int64_t id = 0; id < 100; id++) {
        rows[id] = (struct row){.id = id, .payload = {"", 10}};
    }
}

static void
teardown(void)
{
    queue_done(&queue);
}

TestSuite(queue, .init = setup, .fini = teardown);

static void
push(int64_t id)
{
    queue_push(&queue, &(struct queued){.row = &rows[id]});
}

static void
push_probe(int64_t id)
{
    queue_push(&queue, &(struct queued){.row = &rows[id], .probe = true});
}

static int64_t
dropped_id(void)
{
    const struct row *row = queue_take_dropped(&queue);
    return row == NULL ? -1 : row->id;
}

Test(queue, rows_leave_in_the_order_they_came)
{
    push(1);
    push(2);
    cr_assert_eq(queue.live, 2);
    cr_assert_eq(queue.bytes, 20);
    cr_assert_eq(queue_take(&queue, 0)->id, 1);
    cr_assert_eq(queue.live, 1);
    cr_assert_eq(queue.bytes, 10);
    cr_assert_not(queue_is_live(queue_at(&queue, 0)));
    cr_assert_eq(queue_take(&queue, 1)->id, 2);
    cr_assert_eq(queue.bytes, 0);
    cr_assert_eq(queue_rows(&queue), 0);
}

Test(queue, what_is_dropped_is_given_back_and_only_that)
{
    push(1);
    push(2);
    queue_push(&queue, &(struct queued){.row = &rows[3], .dropped = true});
    queue_drop(&queue, queue_at(&queue, 1));
    cr_assert_eq(queue.live, 1);
    cr_assert_eq(queue_rows(&queue), 3);
    cr_assert_eq(dropped_id(), 2);
    cr_assert_eq(dropped_id(), 3);
    cr_assert_eq(dropped_id(), -1);
    cr_assert_eq(queue.bytes, 10);
    cr_assert_eq(queue_take(&queue, 0)->id, 1);
    cr_assert_eq(dropped_id(), -1);
    cr_assert_eq(queue.count, 0);
}

Test(queue, counts_probes_that_are_to_be_published)
{
    push_probe(1);
    push_probe(2);
    push_probe(3);
    cr_assert_eq(queue.probes, 3);
    queue_drop(&queue, queue_at(&queue, 0));
    cr_assert_eq(queue.probes, 2);
    cr_assert_eq(queue_take(&queue, 2)->id, 3);
    cr_assert_eq(queue.probes, 1);
    cr_assert_eq(dropped_id(), 1);
    cr_assert_eq(queue.probes, 1);
}

/* A stuck lane keeps the first rows, while others come and go behind them. */
Test(queue, places_in_the_middle_are_used_again)
{
    push(1);
    push(2);
    for (int64_t id = 10; id < 60; id += 2) {
        push(id);
        push(id + 1);
        cr_assert_eq(queue_rows(&queue), CAPACITY);
        for (uint32_t i = 0, taken = 0; taken < 2; i++) {
            if (queue_is_live(queue_at(&queue, i)) && queue_at(&queue, i)->row->id >= 10) {
                cr_assert_eq(queue_take(&queue, i)->id, id + taken);
                taken++;
            }
        }
    }
    cr_assert_eq(queue_rows(&queue), 2);
    cr_assert_eq(queue_at(&queue, 0)->row->id, 1);
    cr_assert_eq(queue_at(&queue, 1)->row->id, 2);
}

Test(queue, goes_round)
{
    for (int64_t id = 0; id < 99; id++) {
        push(id);
        if (id > 0) {
            uint32_t first = 0;
            while (!queue_is_live(queue_at(&queue, first))) {
                first++;
            }
            cr_assert_eq(queue_take(&queue, first)->id, id - 1);
        }
        cr_assert_eq(dropped_id(), -1);
    }
    cr_assert_eq(queue.live, 1);
}

/* A pass continues where it was, whatever leaves before it. */
Test(queue, a_pass_keeps_its_place_when_those_before_it_leave)
{
    uint32_t index;
    push(1);
    push(2);
    push(3);
    cr_assert(queue_pass(&queue, &index) && index == 0);
    cr_assert(queue_pass(&queue, &index) && index == 1);
    cr_assert_not(queue_is_rewound(&queue));
    (void)queue_take(&queue, 0);                /* 1 */
    cr_assert_null(queue_take_dropped(&queue)); /* frees its place */
    cr_assert(queue_pass(&queue, &index));
    cr_assert_eq(queue_at(&queue, index)->row->id, 3);
    cr_assert_not(queue_pass(&queue, &index));
    queue_rewind(&queue);
    cr_assert(queue_is_rewound(&queue));
    cr_assert(queue_pass(&queue, &index));
    cr_assert_eq(queue_at(&queue, index)->row->id, 2);
}

Test(queue, numbers_what_was_pushed)
{
    cr_assert_eq(queue_oldest(&queue), 0, "the next");
    push(1);
    push(2);
    cr_assert_eq(queue.pushed, 2);
    cr_assert_eq(queue_oldest(&queue), 0);
    cr_assert_eq(queue_take(&queue, 0)->id, 1);
    cr_assert_eq(queue_oldest(&queue), 1);
    cr_assert_eq(queue_take(&queue, 1)->id, 2);
    cr_assert_eq(queue_oldest(&queue), 2);
}

/* A message that is retried, or will not be published, delays nothing. */
Test(queue, the_oldest_is_to_be_published_and_no_probe)
{
    push_probe(1);
    push(2);
    push(3);
    push(4);
    queue_drop(&queue, queue_at(&queue, 1));
    cr_assert_eq(queue_oldest(&queue), 2);
    cr_assert_eq(queue_take(&queue, 2)->id, 3);
    cr_assert_eq(queue_oldest(&queue), 3);
    cr_assert_eq(queue_take(&queue, 3)->id, 4);
    cr_assert_eq(queue_oldest(&queue), queue.pushed);
}

Test(queue, a_row_keeps_its_number_when_gaps_are_closed)
{
    push(1);
    push(2);
    push(3);
    push(4);
    cr_assert_eq(queue_take(&queue, 1)->id, 2);
    cr_assert_eq(queue_take(&queue, 2)->id, 3);
    push(5); /* there is no place after the last one */
    cr_assert_eq(queue_take(&queue, 0)->id, 1);
    cr_assert_eq(queue_oldest(&queue), 3);
    cr_assert_eq(queue_take(&queue, 1)->id, 4);
    cr_assert_eq(queue_oldest(&queue), 4);
}
