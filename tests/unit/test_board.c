#include <criterion/criterion.h>
#include <pthread.h>

#include "base/memory.h"
#include "relay/daemon/board.h"
#include "relay/kinds/kinds.h"
#include "relay/rabbit/kind.h"

static struct board *board;
static char main_name[] = "main";
static char orders_name[] = "orders";
static struct broker_config broker = {.name = main_name};

static void
set_up(void)
{
    board = board_new();
}

static void
tear_down(void)
{
    board_free(board);
}

TestSuite(board, .init = set_up, .fini = tear_down);

static struct source_config
source_named(char *name)
{
    return (struct source_config){
        .name = name, .kind = database_kinds[0], .broker = &broker, .mode = SOURCE_MODE_AUTO};
}

Test(board, an_entry_is_there_from_its_start_to_its_end)
{
    struct board_view *views;
    char first_name[] = "first";
    char second_name[] = "second";
    const struct source_config first = source_named(first_name);
    const struct source_config second = source_named(second_name);
    struct board_entry *const one = board_add(board, &first);
    struct board_entry *const two = board_add(board, &second);
    cr_assert_eq(board_read(board, 1, &views), 2);
    cr_assert_str_eq(views[0].source, "first");
    cr_assert_str_eq(views[0].broker, "main");
    cr_assert_str_eq(views[0].kind, database_kinds[0]->name);
    cr_assert(views[0].wants_tail);
    cr_assert_eq(views[0].state, BOARD_STARTING);
    cr_assert_str_eq(views[1].source, "second");
    memory_free(views);
    board_remove(board, one);
    cr_assert_eq(board_read(board, 1, &views), 1);
    cr_assert_str_eq(views[0].source, "second");
    memory_free(views);
    board_remove(board, two);
    cr_assert_eq(board_read(board, 1, &views), 0);
    memory_free(views);
}

Test(board, one_of_too_many_is_not_to_tail)
{
    struct board_view *views;
    struct source_config source = source_named(orders_name);
    source.crowded = true;
    struct board_entry *const entry = board_add(board, &source);
    cr_assert_eq(board_read(board, 1, &views), 1);
    cr_assert_not(views[0].wants_tail);
    memory_free(views);
    board_remove(board, entry);
}

Test(board, shows_a_copy_of_what_the_worker_shows)
{
    struct board_view *views;
    struct board_view view = {.told_us = 7, .state = BOARD_OWNED, .pause_reason = "why"};
    const struct source_config source = source_named(orders_name);
    struct board_entry *const entry = board_add(board, &source);
    view.counts.confirmed = 3;
    board_show(board, entry, &view);
    view.counts.confirmed = 4; /* not shown yet */
    cr_assert_eq(board_read(board, 1, &views), 1);
    cr_assert_str_eq(views[0].source, "orders", "the worker does not fill it in");
    cr_assert(views[0].wants_tail);
    cr_assert_eq(views[0].state, BOARD_OWNED);
    cr_assert_eq(views[0].counts.confirmed, 3);
    cr_assert_str_eq(views[0].pause_reason, "why");
    memory_free(views);
    board_remove(board, entry);
}

static bool
is_stuck(uint64_t now_us)
{
    struct board_view *views;
    cr_assert_eq(board_read(board, now_us, &views), 1);
    const bool stuck = views[0].stuck;
    memory_free(views);
    return stuck;
}

Test(board, a_turn_or_a_rest_that_does_not_end_is_stuck)
{
    const struct source_config source = source_named(orders_name);
    struct board_entry *const entry = board_add(board, &source);
    cr_assert_not(is_stuck(100 * BOARD_STUCK_US), "it has not begun");
    board_turn(entry, 5);
    cr_assert_not(is_stuck(5 + BOARD_STUCK_US));
    cr_assert(is_stuck(6 + BOARD_STUCK_US));
    cr_assert_not(is_stuck(1), "the clock of another thread may be a little behind");
    board_rest(entry, 3 * BOARD_STUCK_US);
    cr_assert_not(is_stuck(4 * BOARD_STUCK_US));
    cr_assert(is_stuck(4 * BOARD_STUCK_US + 1));
    board_remove(board, entry);
}

Test(board, the_one_that_is_stuck_is_named)
{
    char invoices_name[] = "invoices";
    const struct source_config sources[] = {source_named(orders_name), source_named(invoices_name)};
    struct board_entry *const entries[] = {board_add(board, &sources[0]),
                                           board_add(board, &sources[1])};
    char name[BOARD_NAME_BYTES] = "";
    board_rest(entries[0], 100);
    board_turn(entries[1], 50);
    cr_assert_not(board_find_stuck(board, 60, 10, name));
    cr_assert(board_find_stuck(board, 61, 10, name));
    cr_assert_str_eq(name, "invoices");
    board_remove(board, entries[0]);
    board_remove(board, entries[1]);
}

static struct config *
new_config(void)
{
    struct config *const config = memory_array(1, sizeof(*config));
    atomic_init(&config->references, 1);
    return config;
}

/* Under a sanitizer, what is freed too early or never is found. */
Test(board, a_configuration_lives_as_long_as_somebody_has_it)
{
    cr_assert_null(board_config(board));
    struct config *const first = new_config();
    board_set_config(board, first);
    config_free(first);
    struct config *const used = board_config(board);
    cr_assert_eq(used, first);
    struct config *const second = new_config();
    board_set_config(board, second);
    config_free(second);
    cr_assert_eq(used->source_count, 0, "still there");
    config_free(used);
    struct config *const now = board_config(board);
    cr_assert_eq(now, second);
    config_free(now);
}

#define CHANGES 20000

static void *
change(void *context)
{
    (void)context; /* has the shape of a thread */
    for (unsigned i = 0; i < CHANGES; i++) {
        struct config *const config = new_config();
        board_set_config(board, config);
        config_free(config);
    }
    return NULL;
}

Test(board, a_configuration_may_be_replaced_while_others_read_it)
{
    pthread_t thread;
    struct config *const first = new_config();
    board_set_config(board, first);
    config_free(first);
    cr_assert_eq(pthread_create(&thread, NULL, change, NULL), 0);
    for (unsigned i = 0; i < CHANGES; i++) {
        struct config *const config = board_config(board);
        cr_assert_eq(config->source_count, 0);
        config_free(config);
    }
    cr_assert_eq(pthread_join(thread, NULL), 0);
}

Test(board, words)
{
    cr_assert_str_eq(board_state_word(BOARD_STARTING), "starting");
    cr_assert_str_eq(board_state_word(BOARD_LOST), "lost");
    for (enum pipeline_pause pause = 0; pause < PIPELINE_PAUSES; pause++) {
        cr_assert_not_null(board_pause_word(pause));
    }
}
