/* What scenes have in common: brokers, beginnings, and checks of the actions. */
#include <criterion/criterion.h>

#include "tests/unit/pipeline_driver.h"

enum verdict
takes_all(int64_t id)
{
    (void)id; /* has the shape of a broker */
    return TAKES;
}

enum verdict
returns_all(int64_t id)
{
    (void)id; /* has the shape of a broker */
    return driver.mended ? TAKES : RETURNS;
}

enum verdict
nacks_all(int64_t id)
{
    (void)id; /* has the shape of a broker */
    return driver.mended ? TAKES : NACKS;
}

enum verdict
returns_1(int64_t id)
{
    return id == 1 && !driver.mended ? RETURNS : TAKES;
}

void
start_live(void)
{
    enum verdict (*const broker)(int64_t) = driver.broker;
    driver.options.tail = true;
    driver.broker = takes_all;
    start();
    (void)await_report(REPORT_TAILING); /* only its arrival matters */
    driver.broker = broker;
}

void
start_with_1_tried(void)
{
    put_held(1, 1, HELD_RETRYING, 1);
    start();
    const struct note *probe = await(PIPELINE_PUBLISH);
    cr_assert_eq(probe->id, 1);
    cr_assert(probe->probe);
}

void
start_with_1_held(void)
{
    put(1, 1);
    driver.broker = returns_1;
    start();
    run(100 * CLOCK_MS_US);
    cr_assert_eq(message_of(1)->state, HELD_RETRYING);
    cr_assert_eq(message_of(1)->place, IN_HELD);
}

void
start_with(int64_t last)
{
    for (int64_t id = 1; id <= last; id++) {
        put(id, id % 2 == 1 ? 1 : 2);
    }
    start();
    answer_fetch();
}

bool
leaves_out(const struct note *fetch, int64_t id)
{
    return id <= fetch->action.fetch.after_id ||
           has_id(fetch->action.fetch.ids, fetch->action.fetch.id_count, id);
}

bool
was_published(int64_t id)
{
    for (size_t i = 0; i < noted(PIPELINE_PUBLISH); i++) {
        if (note_at(PIPELINE_PUBLISH, i)->id == id) {
            return true;
        }
    }
    return false;
}

void
check_published(int64_t key, const int64_t *ids, size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < noted(PIPELINE_PUBLISH); i++) {
        const int64_t id = note_at(PIPELINE_PUBLISH, i)->id;
        if (message_of(id)->ordered && message_of(id)->key == key) {
            cr_assert_lt(at, count, "%ld as well", (long)id);
            cr_assert_eq(id, ids[at], "%ld instead of %ld", (long)id, (long)ids[at]);
            at++;
        }
    }
    cr_assert_eq(at, count, "%zu of %zu", at, count);
}

void
check_ascending(int64_t first, int64_t last)
{
    int64_t at = first - 1;
    for (size_t i = 0; i < noted(PIPELINE_PUBLISH); i++) {
        cr_assert_eq(note_at(PIPELINE_PUBLISH, i)->id, at + 1);
        at++;
    }
    cr_assert_eq(at, last);
}

bool
has_id(const int64_t *ids, size_t count, int64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

const struct hold *
hold_of(const struct note *note, int64_t id)
{
    for (size_t i = 0; i < note->action.count; i++) {
        if (note->action.holds[i].id == id) {
            return &note->action.holds[i];
        }
    }
    return NULL;
}

struct pipeline_counts
counts(void)
{
    struct pipeline_counts all;
    pipeline_counts(driver.pipeline, &all);
    return all;
}

struct source_status
status(void)
{
    struct source_status all;
    pipeline_status(driver.pipeline, driver.now_us, &all);
    return all;
}
