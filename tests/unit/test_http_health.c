#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/http/health.h"
#include "relay/kinds/kinds.h"

#define NOW_US (1000 * CLOCK_S_US)

static struct board *board;
static struct board_entry *entry;
static char main_name[] = "main";
static struct broker_config broker = {.name = main_name};
static char *answer;

/* A board with the source "orders", which has a worker, and what the worker shows. */
static void
show(const struct board_view *view, bool stuck_unready)
{
    struct config *const config = memory_array(1, sizeof(*config));
    atomic_init(&config->references, 1);
    config->sources = memory_array(1, sizeof(*config->sources));
    config->source_count = 1;
    config->sources[0] = (struct source_config){
        .name = memory_string("orders"), .kind = database_kinds[0], .broker = &broker};
    config->http = memory_array(1, sizeof(*config->http));
    config->http->stuck_unready = stuck_unready;
    board = board_new();
    board_set_config(board, config);
    config_free(config);
    if (view != NULL) {
        entry = board_add(board, &config->sources[0]);
        board_show(board, entry, view);
    }
}

static void
put_away(void)
{
    if (entry != NULL) {
        board_remove(board, entry);
        entry = NULL;
    }
    board_free(board);
    board = NULL;
    free(answer);
    answer = NULL;
}

TestSuite(http_health, .fini = put_away);

static bool
ask(bool (*is_good)(FILE *out, struct board *board, uint64_t now_us))
{
    size_t size;
    free(answer);
    FILE *const stream = open_memstream(&answer, &size);
    cr_assert_not_null(stream);
    const bool good = is_good(stream, board, NOW_US);
    cr_assert_eq(fclose(stream), 0);
    return good;
}

/* What /readyz says of a view, with either setting. */
static void
expect(const struct board_view *view, bool ready, bool ready_if_stuck_is_unready, const char *words)
{
    show(view, false);
    cr_assert_eq(ask(health_is_ready), ready, "%s", answer);
    cr_assert_str_eq(answer, words);
    put_away();
    show(view, true);
    cr_assert_eq(ask(health_is_ready), ready_if_stuck_is_unready, "%s", answer);
    cr_assert_str_eq(answer, words);
    cr_assert(ask(health_is_alive));
    put_away();
}

Test(http_health, not_before_the_database_was_reached)
{
    expect(NULL, false, false, "orders: starting: the database was not reached yet\n");
    expect(&(struct board_view){.state = BOARD_STARTING, .state_reason = "connection refused"},
           false, false, "orders: starting: connection refused\n");
}

Test(http_health, publishing_idle_and_standing_by)
{
    struct board_view view = {.state = BOARD_OWNED};
    expect(&view, true, true, "orders: idle\n");
    view.counts.in_flight = 1;
    expect(&view, true, true, "orders: publishing\n");
    view.counts.in_flight = 0;
    view.counts.queued = 1;
    expect(&view, true, true, "orders: publishing\n");
    expect(&(struct board_view){.state = BOARD_STANDBY, .pause = PAUSE_NO_BROKER}, true, true,
           "orders: standing by\n");
}

Test(http_health, stuck_is_named_and_the_setting_decides)
{
    expect(&(struct board_view){.state = BOARD_OWNED,
                                .pause = PAUSE_BLOCKED,
                                .pause_since_us = NOW_US - 7 * CLOCK_S_US,
                                .pause_reason = "the broker takes no messages"},
           true, false, "orders: stuck for 7 s: the broker takes no messages\n");
    expect(&(struct board_view){.state = BOARD_LOST,
                                .state_since_us = NOW_US - 61 * CLOCK_S_US,
                                .state_reason = "server\nclosed"},
           true, false, "orders: stuck for 61 s: server?closed\n");
}

Test(http_health, draining_is_not_ready)
{
    expect(&(struct board_view){.state = BOARD_OWNED, .draining = true}, false, false,
           "orders: draining\n");
}

Test(http_health, a_thread_that_hangs_is_not_alive)
{
    show(&(struct board_view){.state = BOARD_OWNED}, false);
    board_turn(entry, NOW_US - BOARD_STUCK_US);
    cr_assert(ask(health_is_alive));
    cr_assert_str_eq(answer, "alive\n");
    board_turn(entry, NOW_US - BOARD_STUCK_US - 1);
    cr_assert_not(ask(health_is_alive));
    cr_assert_str_eq(answer, "orders: hanging: its thread does not come back from its work\n");
    cr_assert_not(ask(health_is_ready));
}
