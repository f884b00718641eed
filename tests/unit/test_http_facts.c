/* The last answers of databases, with a kind of database of the test's own. */
#include <criterion/criterion.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/http/facts.h"
#include "relay/ports/admin_ops.h"
#include "relay/ports/database.h"

#define LONG_US (60 * CLOCK_S_US)

static sem_t answered;   /* an answer came, or the news that there is none */
static sem_t may_answer; /* of the source "frozen" */
static atomic_uint asked;
static atomic_bool refuses;
static atomic_bool owned;

/* ---- the kind ---- */

static void
close_fake(struct admin *admin)
{
    memory_free(admin);
}

static bool
get_status(struct admin *admin, struct admin_status *ret_status, struct error *reterr)
{
    (void)admin; /* they are all the same */
    (void)reterr;
    *ret_status = (struct admin_status){.pending = 7,
                                        .oldest_us = 1000000,
                                        .held = {.dead = 2},
                                        .now_us = 4000000,
                                        .keeper = {.what = "slot", .retained = 99}};
    ret_status->sessions.sessions = memory_array(1, sizeof(*ret_status->sessions.sessions));
    ret_status->sessions.sessions[0].owns = true;
    ret_status->sessions.count = owned ? 1 : 0;
    return true;
}

static bool
get_behind(struct admin *admin, log_position position, bool *ret_known, uint64_t *ret_bytes,
           struct error *reterr)
{
    (void)admin; /* as above */
    (void)reterr;
    *ret_known = true;
    *ret_bytes = 1000 - position;
    return true;
}

static bool
get_reasons(struct admin *admin, struct held_reasons *ret_reasons, struct error *reterr)
{
    (void)admin; /* as above */
    (void)reterr;
    *ret_reasons = (struct held_reasons){.dead = {[HELD_REASON_DENIED] = 2}};
    return true;
}

static const struct admin_ops fake_ops = {.close = close_fake,
                                          .status_get = get_status,
                                          .held_reasons = get_reasons,
                                          .log_behind = get_behind};

static struct admin *
open_fake(const struct source_config *source, struct error *reterr)
{
    asked++;
    while (strcmp(source->name, "frozen") == 0 && sem_wait(&may_answer) != 0) {
    }
    if (refuses) {
        (void)error_set(reterr, ERROR_CONNECTION, "refused"); /* always false */
        return NULL;
    }
    struct admin *const admin = memory_array(1, sizeof(*admin));
    admin->ops = &fake_ops;
    return admin;
}

static const struct database_kind fake = {.name = "fake", .admin_open = open_fake};

/* ---- the board ---- */

static struct board *board;
static struct facts *facts;

static void
wake(void *context)
{
    (void)context; /* has the shape of a wake */
    (void)sem_post(&answered);
}

static void
set_sources(const char *const *names, size_t count)
{
    struct config *const config = memory_array(1, sizeof(*config));
    atomic_init(&config->references, 1);
    config->sources = memory_array(count, sizeof(*config->sources));
    config->source_count = count;
    for (size_t i = 0; i < count; i++) {
        config->sources[i].name = memory_string(names[i % 2]);
        config->sources[i].kind = &fake;
    }
    board_set_config(board, config);
    config_free(config);
}

static const char *const both[] = {"orders", "frozen"};

static void
set_up(void)
{
    cr_assert_eq(sem_init(&answered, 0, 0), 0);
    cr_assert_eq(sem_init(&may_answer, 0, 0), 0);
    board = board_new();
    set_sources(both, 1);
    facts = facts_new(board, wake, NULL);
}

static void
tear_down(void)
{
    cr_assert(facts_stop(facts, LONG_US));
    board_free(board);
}

TestSuite(http_facts, .init = set_up, .fini = tear_down, .timeout = 120);

static void
await_answer(void)
{
    while (sem_wait(&answered) != 0) {
    }
}

/* A thread of its own asks each. */
static void
await_asked(unsigned count)
{
    while (asked < count) {
        (void)sched_yield(); /* the time limit of the test bounds it */
    }
    cr_assert_eq(asked, count);
}

static struct facts_figures
figures(const char *source, uint64_t now_us)
{
    struct facts_figures found;
    facts_get(facts, source, now_us, &found);
    return found;
}

Test(http_facts, nobody_asks_a_database_for_nobody)
{
    const uint64_t now_us = clock_monotonic_us();
    cr_assert_eq(facts_ask(facts, now_us), CLOCK_NEVER_US);
    cr_assert_eq(asked, 0);
    facts_want(facts, now_us);
    await_answer(); /* it was woken */
    cr_assert_eq(facts_ask(facts, now_us), CLOCK_NEVER_US, "it is being asked");
    await_answer();
    const uint64_t next_us = facts_ask(facts, clock_monotonic_us());
    cr_assert_lt(next_us, clock_monotonic_us() + FACTS_EVERY_US + 1);
    cr_assert_eq(asked, 1);
    cr_assert_eq(facts_ask(facts, now_us + FACTS_WANTED_US + 1), CLOCK_NEVER_US);
    cr_assert_eq(asked, 1, "nobody wants to know any more");
}

/* Asks all databases that are due at `now_us`. */
static void
ask(uint64_t now_us)
{
    facts_want(facts, now_us);
    (void)facts_ask(facts, now_us); /* when it is due again is not of interest */
}

Test(http_facts, the_last_answer_until_it_is_old)
{
    const uint64_t now_us = clock_monotonic_us();
    cr_assert_not(figures("orders", now_us).known);
    ask(now_us);
    await_answer();
    await_answer();
    const struct facts_figures found = figures("orders", now_us);
    cr_assert(found.known);
    cr_assert_eq(found.pending, 7);
    cr_assert(found.has_oldest);
    cr_assert_eq(found.oldest_age_us, 3000000);
    cr_assert_eq(found.held.dead, 2);
    cr_assert_eq(found.keeper_retained, 99);
    cr_assert_eq(found.standbys, 0);
    cr_assert(figures("orders", found.told_us + FACTS_OLD * FACTS_EVERY_US - 1).known);
    cr_assert_not(figures("orders", found.told_us + FACTS_OLD * FACTS_EVERY_US).known);
    cr_assert_not(figures("nobody", now_us).known);
}

Test(http_facts, a_database_that_does_not_answer_keeps_nobody_waiting)
{
    const uint64_t now_us = clock_monotonic_us();
    set_sources(both, 2);
    ask(now_us);
    await_answer();
    await_answer();
    cr_assert(figures("orders", now_us).known);
    cr_assert_not(figures("frozen", now_us).known);
    ask(now_us + FACTS_EVERY_US + LONG_US); /* "frozen" is still being asked */
    await_answer();
    await_asked(3);
    cr_assert_not(facts_stop(facts, CLOCK_MS_US), "a thread waits");
    (void)sem_post(&may_answer);
}

Test(http_facts, one_that_refuses_is_asked_less_often)
{
    const uint64_t now_us = clock_monotonic_us();
    refuses = true;
    ask(now_us);
    await_answer();
    await_answer();
    cr_assert_not(figures("orders", now_us).known);
    ask(now_us + FACTS_EVERY_US + CLOCK_S_US);
    cr_assert_eq(asked, 1);
    refuses = false;
    ask(now_us + FACTS_AGAIN_US + LONG_US);
    await_answer();
    cr_assert_eq(asked, 2);
    cr_assert(figures("orders", now_us).known);
}

Test(http_facts, a_source_that_is_gone_is_forgotten)
{
    const uint64_t now_us = clock_monotonic_us();
    ask(now_us);
    await_answer();
    await_answer();
    cr_assert(figures("orders", now_us).known);
    set_sources(&both[1], 1);
    (void)sem_post(&may_answer);
    ask(now_us);
    await_answer();
    cr_assert_not(figures("orders", now_us).known);
}

/* Of many sources each is asked less often. */
Test(http_facts, many_sources_share_what_a_server_can_bear)
{
    enum { MANY = 80 };
    const uint64_t now_us = clock_monotonic_us();
    const char *const one[] = {"orders", "orders"};
    set_sources(one, MANY);
    ask(now_us);
    await_answer();
    await_answer();
    const uint64_t told_us = figures("orders", now_us).told_us;
    cr_assert(figures("orders", told_us + FACTS_OLD * MANY * FACTS_SPREAD_US - 1).known);
    ask(now_us + FACTS_EVERY_US + CLOCK_S_US);
    cr_assert_eq(asked, 1);
}

static struct facts_figures
asked_anew(void)
{
    cr_assert(facts_stop(facts, LONG_US));
    facts = facts_new(board, wake, NULL);
    facts_want(facts, clock_monotonic_us());
    await_answer();                               /* it was woken */
    (void)facts_ask(facts, clock_monotonic_us()); /* when to ask again does not matter */
    await_answer();
    return figures("orders", clock_monotonic_us());
}

/* A position is one of the server where the owner is, and of this process. */
Test(http_facts, how_far_the_log_is_read)
{
    struct broker_config broker = {.name = (char[]){"main"}};
    const struct source_config source = {
        .name = (char[]){"orders"}, .kind = &fake, .broker = &broker};
    struct board_view view = {.state = BOARD_OWNED, .counts = {.log_read = 400}};
    struct board_entry *const entry = board_add(board, &source);
    owned = true;
    cr_assert_not(asked_anew().log_known, "it does not read the log yet");
    board_show(board, entry, &view);
    const struct facts_figures found = asked_anew();
    cr_assert(found.log_known);
    cr_assert_eq(found.log_behind, 600);
    owned = false;
    cr_assert_not(asked_anew().log_known, "nobody owns the outbox on this server");
    owned = true;
    view.state = BOARD_STANDBY;
    board_show(board, entry, &view);
    cr_assert_not(asked_anew().log_known, "another process does");
    board_remove(board, entry);
}
