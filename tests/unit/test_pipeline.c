#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"
#include "relay/pipeline.h"

/* Single scenes, each with one thing that goes wrong; what may happen together is the simulation's part. */

#define ROWS 20

static struct pipeline *pipeline;
static struct pipeline_options options;
static struct row rows[ROWS + 1];
static uint64_t now_us;
/* What the pipeline wanted in the last turn. */
static int64_t published[200];
static size_t published_count;
static int64_t settled[200];
static size_t settled_count;
static struct fetch fetches[20];
static int64_t fetch_ids[20][ROWS];
static size_t fetch_count;
static struct pipeline_report reports[50];
static size_t report_count;
static unsigned connects;
static unsigned channel_opens;
static unsigned watermarks;
static unsigned released;
static bool drained;
static const char *unpublishable;

static void
note_action(const struct pipeline_action *action)
{
    switch (action->type) {
    case PIPELINE_CONNECT:
        connects++;
        break;
    case PIPELINE_OPEN_CHANNEL:
        channel_opens++;
        break;
    case PIPELINE_FETCH:
        if (action->fetch.id_count > 0) {
            memcpy(fetch_ids[fetch_count], action->fetch.ids,
                   action->fetch.id_count * sizeof(int64_t));
        }
        fetches[fetch_count] = action->fetch;
        fetches[fetch_count].ids = fetch_ids[fetch_count];
        fetch_count++;
        break;
    case PIPELINE_SETTLE:
        memcpy(settled, action->ids, action->count * sizeof(int64_t));
        settled_count = action->count;
        break;
    case PIPELINE_PUBLISH:
        if (unpublishable != NULL) {
            pipeline_unpublishable(pipeline, unpublishable, now_us);
        } else {
            published[published_count++] = action->row->id;
            pipeline_published(pipeline);
        }
        break;
    case PIPELINE_REPORT:
        reports[report_count++] = action->report;
        break;
    case PIPELINE_WATERMARK:
        watermarks++;
        break;
    case PIPELINE_DRAINED:
        drained = true;
        break;
    case PIPELINE_RELEASE:
        released++;
        break;
    case PIPELINE_DISCONNECT:
        break;
    }
}

static void
turn(void)
{
    struct pipeline_action action;
    published_count = settled_count = fetch_count = report_count = 0;
    connects = channel_opens = watermarks = released = 0;
    while (!drained && pipeline_next(pipeline, now_us, &action)) {
        note_action(&action);
    }
}

static void
later(uint64_t us)
{
    now_us += us;
    pipeline_lease(pipeline, now_us + 10 * CLOCK_S_US);
    turn();
}

/* Rows with these ids; odd ids have key 1, even ones key 2. */
static void
give(int64_t first, int64_t last, bool complete)
{
    for (int64_t id = first; id <= last; id++) {
        rows[id] = (struct row){.id = id, .key_hash = id % 2 == 1 ? 1 : 2, .ordered = true};
    }
    pipeline_rows(pipeline, &rows[first], (size_t)(last - first + 1), complete, now_us);
    turn();
}

static void
lane_up(void)
{
    turn();
    cr_assert_eq(connects, 1);
    pipeline_lane_connected(pipeline, 0, now_us);
    turn();
    cr_assert_eq(channel_opens, 1);
    pipeline_lane_ready(pipeline, 0, now_us);
    turn();
}

static void
setup(void)
{
    now_us = 1000 * CLOCK_S_US;
    unpublishable = NULL;
    drained = false;
    options = pipeline_defaults();
    pipeline = pipeline_new(&options, now_us);
    pipeline_source_owned(pipeline, now_us);
    pipeline_lease(pipeline, now_us + 10 * CLOCK_S_US);
    lane_up();
    cr_assert_eq(fetch_count, 1);
    cr_assert_eq(fetches[0].kind, FETCH_NEXT);
}

static void
teardown(void)
{
    pipeline_free(pipeline);
}

TestSuite(pipeline, .init = setup, .fini = teardown);

static bool
fetch_excludes(const struct fetch *fetch, int64_t id)
{
    for (size_t i = 0; i < fetch->id_count; i++) {
        if (fetch->ids[i] == id) {
            return true;
        }
    }
    return false;
}

/* The next fetch of the kind, letting time pass. */
static const struct fetch *
await_fetch(enum fetch_kind kind)
{
    for (int i = 0; i < 10000; i++) {
        for (size_t k = 0; k < fetch_count; k++) {
            if (fetches[k].kind == kind) {
                return &fetches[k];
            }
        }
        if (fetch_count > 0) {
            pipeline_rows(pipeline, NULL, 0, true, now_us);
        }
        later(CLOCK_MS_US);
    }
    cr_assert_fail("no fetch of kind %d", kind);
    return NULL;
}

Test(pipeline, settles_what_is_confirmed_and_only_that)
{
    give(1, 4, true);
    cr_assert_eq(published_count, 4);
    later(CLOCK_S_US);
    cr_assert_eq(settled_count, 0, "nothing is confirmed");
    cr_assert(pipeline_confirmed(pipeline, 0, 2, true, now_us));
    later(options.settle_delay_us);
    cr_assert_eq(settled_count, 2);
    cr_assert_eq(settled[0], 1);
    cr_assert_eq(settled[1], 2);
}

Test(pipeline, refuses_a_confirm_for_what_was_never_sent)
{
    give(1, 2, true);
    cr_assert_not(pipeline_confirmed(pipeline, 0, 3, false, now_us));
    cr_assert_not(pipeline_confirmed(pipeline, 0, 0, false, now_us));
    cr_assert_not(pipeline_returned(pipeline, 0, 3, "unroutable", now_us));
    cr_assert(pipeline_confirmed(pipeline, 0, 0, true, now_us), "tag 0 with multiple means all");
    later(options.settle_delay_us);
    cr_assert_eq(settled_count, 2);
}

Test(pipeline, a_returned_message_pauses_its_key_and_is_not_settled)
{
    give(1, 2, true);
    cr_assert(pipeline_returned(pipeline, 0, 1, "unroutable", now_us));
    cr_assert(pipeline_confirmed(pipeline, 0, 2, true, now_us));
    const struct fetch *fetch = await_fetch(FETCH_NEXT);
    cr_assert_eq(fetch->key_count, 1);
    cr_assert_eq(fetch->keys[0], 1);
    later(options.settle_delay_us);
    struct pipeline_counts counts;
    pipeline_counts(pipeline, &counts);
    cr_assert_eq(counts.paused, 1);
    cr_assert_eq(counts.confirmed, 1);
    cr_assert_eq(counts.unsettled, 1, "only row 2");
}

Test(pipeline, a_paused_key_goes_on_in_order)
{
    give(1, 1, true);
    cr_assert(pipeline_returned(pipeline, 0, 1, "unroutable", now_us));
    cr_assert(pipeline_confirmed(pipeline, 0, 1, false, now_us));
    const struct fetch *retry = await_fetch(FETCH_IDS);
    cr_assert_eq(retry->id_count, 1);
    cr_assert_eq(retry->ids[0], 1);
    give(1, 1, true);
    cr_assert_eq(published_count, 1, "the head goes alone");
    cr_assert(pipeline_confirmed(pipeline, 0, 2, false, now_us));
    turn();
    cr_assert_eq(reports[0].type, REPORT_SENT);
    cr_assert_eq(reports[0].attempts, 2);
    const struct fetch *next = await_fetch(FETCH_NEXT);
    cr_assert_lt(next->after_id, 3, "what followed the head is read again");
    cr_assert_eq(next->key_count, 0);
}

Test(pipeline, a_refused_message_waits_longer_each_time)
{
    give(1, 1, true);
    unpublishable = "headers: no object";
    uint64_t last_wait_us = 0;
    cr_assert(pipeline_returned(pipeline, 0, 1, "unroutable", now_us));
    for (uint32_t attempt = 2; attempt < 6; attempt++) {
        cr_assert_eq(await_fetch(FETCH_IDS)->ids[0], 1);
        give(1, 1, true);
        cr_assert_eq(reports[0].type, REPORT_REFUSED);
        cr_assert_eq(reports[0].attempts, attempt);
        cr_assert_str_eq(reports[0].reason, "headers: no object");
        const uint64_t wait_us = reports[0].retry_at_us - now_us;
        cr_assert_gt(wait_us, last_wait_us);
        last_wait_us = wait_us;
    }
}

Test(pipeline, a_refused_message_that_was_deleted_frees_its_key)
{
    give(1, 1, true);
    cr_assert(pipeline_nacked(pipeline, 0, 1, false, now_us));
    cr_assert_eq(await_fetch(FETCH_IDS)->ids[0], 1);
    pipeline_rows(pipeline, NULL, 0, true, now_us);
    turn();
    cr_assert_eq(reports[0].type, REPORT_GONE);
    cr_assert_eq(await_fetch(FETCH_NEXT)->key_count, 0);
}

Test(pipeline, a_lost_lane_costs_no_attempt_and_its_window_is_read_again)
{
    give(1, 6, true);
    cr_assert(pipeline_confirmed(pipeline, 0, 2, true, now_us));
    pipeline_lane_lost(pipeline, 0, now_us);
    later(options.reconnect_max_us);
    cr_assert_eq(report_count, 0);
    pipeline_lane_connected(pipeline, 0, now_us);
    turn();
    pipeline_lane_ready(pipeline, 0, now_us);
    turn();
    const struct fetch *fetch = await_fetch(FETCH_NEXT);
    cr_assert_leq(fetch->after_id, 2);
    cr_assert_not(fetch_excludes(fetch, 3));
}

Test(pipeline, leaves_out_what_is_in_memory)
{
    give(1, 6, true);
    cr_assert(pipeline_confirmed(pipeline, 0, 1, false, now_us));
    const struct fetch *fetch = await_fetch(FETCH_NEXT);
    for (int64_t id = 1; id <= 6; id++) {
        cr_assert(fetch_excludes(fetch, id), "row %ld would be sent twice", (long)id);
    }
}

Test(pipeline, leaves_out_what_is_in_memory_below_zero)
{
    rows[1] = (struct row){.id = -5};
    pipeline_rows(pipeline, &rows[1], 1, true, now_us);
    turn();
    cr_assert_eq(published_count, 1);
    cr_assert(fetch_excludes(await_fetch(FETCH_DUE), -5));
}

/* A message of 100 MB that closes the channel at each try would otherwise throw away what the others
 * have fetched meanwhile, again and again. */
Test(pipeline, a_probe_that_closes_the_channel_costs_the_others_nothing)
{
    give(1, 1, true);
    pipeline_channel_closed(pipeline, 0, "406 too large", now_us);
    later(options.reconnect_max_us);
    pipeline_lane_ready(pipeline, 0, now_us);
    cr_assert_eq(await_fetch(FETCH_IDS)->ids[0], 1);
    give(1, 1, true);
    cr_assert_eq(published_count, 1, "the probe");
    cr_assert_eq(await_fetch(FETCH_NEXT)->key_count, 1);
    pipeline_channel_closed(pipeline, 0, "406 too large", now_us);
    give(2, 2, true);
    pipeline_lane_ready(pipeline, 0, now_us);
    turn();
    cr_assert_eq(published_count, 1);
    cr_assert_eq(published[0], 2);
}

/* Answers a fetch from a table in which rows up to 16 stand, less those in `gone`. */
static void
answer_from_table(const bool *gone)
{
    const struct fetch fetch = fetches[0];
    size_t count = 0;
    for (int64_t id = 1; id <= 16 && fetch.kind == FETCH_NEXT; id++) {
        if (id > fetch.after_id && !gone[id] && !fetch_excludes(&fetch, id)) {
            rows[count++] = (struct row){.id = id, .key_hash = id, .ordered = true};
        }
    }
    pipeline_rows(pipeline, rows, count, true, now_us);
    turn();
}

/* A broker that closes the channel at row 11 and confirms a turn in which it did not come. */
static bool
broker_closes_at_11(bool *gone)
{
    for (size_t i = 0; i < published_count; i++) {
        if (published[i] == 11) {
            pipeline_channel_closed(pipeline, 0, "404", now_us);
            later(options.reconnect_max_us);
            return true;
        }
    }
    for (size_t i = 0; i < published_count; i++) {
        gone[published[i]] = true;
    }
    cr_assert(pipeline_confirmed(pipeline, 0, 0, true, now_us));
    turn();
    return false;
}

Test(pipeline, finds_the_one_that_closes_the_channel)
{
    bool gone[ROWS] = {false};
    unsigned closes = 0;
    int64_t culprit = 0;
    for (int i = 0; i < 1000 && culprit == 0; i++) {
        if (published_count > 0) {
            closes += broker_closes_at_11(gone);
        } else if (fetch_count > 0) {
            answer_from_table(gone);
        } else {
            later(CLOCK_MS_US);
        }
        if (channel_opens > 0) {
            culprit = report_count > 0 && reports[0].type == REPORT_REFUSED ? reports[0].id : 0;
            pipeline_lane_ready(pipeline, 0, now_us);
            turn();
        }
    }
    cr_assert_eq(culprit, 11);
    cr_assert_leq(closes, 8, "it took %u closed channels to find one of 16", closes);
    cr_assert_not(gone[11]);
}

Test(pipeline, asks_nothing_of_the_database_while_blocked)
{
    pipeline_lane_blocked(pipeline, 0, true, now_us);
    give(1, 3, true);
    cr_assert_eq(published_count, 0);
    later(100 * CLOCK_S_US);
    cr_assert_eq(fetch_count, 0);
    cr_assert_eq(watermarks, 0);
    pipeline_lane_blocked(pipeline, 0, false, now_us);
    turn();
    cr_assert_eq(published_count, 3);
}

Test(pipeline, connects_anew_when_no_confirm_comes)
{
    give(1, 1, true);
    later(options.confirm_timeout_us);
    cr_assert_eq(reports[0].type, REPORT_TIMEOUT);
    later(options.reconnect_max_us);
    cr_assert_eq(connects, 1);
}

Test(pipeline, publishes_nothing_after_its_lease)
{
    now_us += 11 * CLOCK_S_US;
    give(1, 3, true);
    cr_assert_eq(published_count, 0);
    pipeline_lease(pipeline, now_us + CLOCK_S_US);
    turn();
    cr_assert_eq(published_count, 3);
}

Test(pipeline, publishes_nothing_it_does_not_own)
{
    pipeline_lane_congested(pipeline, 0, true);
    give(1, 3, true);
    cr_assert_eq(published_count, 0);
    pipeline_source_lost(pipeline, now_us);
    pipeline_lane_congested(pipeline, 0, false);
    turn();
    cr_assert_eq(published_count, 0);
}

Test(pipeline, settles_nothing_of_an_earlier_ownership)
{
    give(1, 4, true);
    cr_assert(pipeline_confirmed(pipeline, 0, 2, true, now_us));
    pipeline_source_lost(pipeline, now_us);
    later(CLOCK_S_US);
    cr_assert(pipeline_confirmed(pipeline, 0, 3, true, now_us));
    cr_assert(pipeline_nacked(pipeline, 0, 4, false, now_us));
    pipeline_source_owned(pipeline, now_us);
    later(options.settle_delay_us);
    cr_assert_eq(settled_count, 0, "after a failover these ids may be other messages");
    cr_assert_eq(report_count, 0, "nor is one refused for what another was");
    const struct fetch *fetch = await_fetch(FETCH_NEXT);
    cr_assert_eq(fetch->after_id, INT64_MIN);
    cr_assert_eq(fetch->id_count, 0);
}

Test(pipeline, drains)
{
    give(1, 3, true);
    pipeline_drain(pipeline);
    turn();
    cr_assert_not(drained);
    cr_assert(pipeline_confirmed(pipeline, 0, 3, true, now_us));
    if (fetch_count > 0) {
        pipeline_rows(pipeline, NULL, 0, true, now_us);
    }
    turn();
    cr_assert_eq(settled_count, 3);
    cr_assert_not(drained, "the rows are not deleted yet");
    pipeline_settled(pipeline, now_us);
    turn();
    cr_assert(drained);
    cr_assert_eq(fetch_count, 0);
}

Test(pipeline, a_drain_gives_back_what_was_queued)
{
    pipeline_lane_congested(pipeline, 0, true);
    give(1, 3, true);
    cr_assert_eq(published_count, 0);
    pipeline_drain(pipeline);
    turn();
    cr_assert_eq(released, 3, "before it is drained");
    cr_assert(drained);
}

/* Otherwise a sweep longer than its interval would begin anew for ever, and nothing new be read. */
Test(pipeline, a_long_sweep_ends_and_is_followed_by_a_longer_pause)
{
    give(1, 10, true);
    cr_assert(pipeline_confirmed(pipeline, 0, 10, true, now_us));
    later(options.settle_delay_us);
    pipeline_settled(pipeline, now_us);
    pipeline_final(pipeline, 10, now_us);
    pipeline_rows(pipeline, NULL, 0, true, now_us);
    later(options.sweep_interval_us);
    while (await_fetch(FETCH_NEXT)->after_id != INT64_MIN) {
        pipeline_rows(pipeline, NULL, 0, true, now_us);
        later(CLOCK_MS_US);
    }
    later(2 * options.sweep_interval_us);
    give(2, 3, false);
    cr_assert_eq(await_fetch(FETCH_NEXT)->after_id, 3, "it goes on where it was");
    cr_assert(pipeline_confirmed(pipeline, 0, 0, true, now_us));
    pipeline_rows(pipeline, NULL, 0, true, now_us);
    const uint64_t end_us = now_us + 10 * options.sweep_interval_us;
    for (later(CLOCK_MS_US); now_us < end_us; later(CLOCK_S_US)) {
        cr_assert_neq(await_fetch(FETCH_NEXT)->after_id, INT64_MIN);
        pipeline_rows(pipeline, NULL, 0, true, now_us);
    }
}

Test(pipeline, looks_ever_more_seldom_at_an_idle_table)
{
    pipeline_rows(pipeline, NULL, 0, true, now_us);
    pipeline_final(pipeline, 0, now_us);
    turn();
    unsigned next_fetches = 0;
    for (uint64_t ms = 0; ms < 2000; ms++) {
        later(CLOCK_MS_US);
        for (size_t i = 0; i < fetch_count; i++) {
            next_fetches += fetches[i].kind == FETCH_NEXT;
            pipeline_rows(pipeline, NULL, 0, true, now_us);
        }
        cr_assert_eq(watermarks, 0, "nothing late can come");
    }
    cr_assert_leq(next_fetches, 30, "2 s at 100 ms, and a few to get there");
    cr_assert_geq(next_fetches, 15);
}
