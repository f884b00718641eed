#include "tests/integration/source_held_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define TAKEOVER_US (30 * CLOCK_S_US)

struct db *admin;
struct source_config config;
struct source *source;
static char user[64]; /* an account of the test, if it has one */

void
held_create(void)
{
    admin = db_create();
    db_load_outbox(admin);
    config = source_fixture_here(TAKEOVER_US);
    source = source_fixture_own(&config);
}

void
held_drop(void)
{
    source_fixture_close(source, &config);
    if (user[0] != '\0') {
        db_drop_user(admin, user);
    }
    db_drop(admin);
}

void
held_run(const char *sql)
{
    db_exec(admin, sql);
}

int64_t
held_count(const char *sql)
{
    return db_int(admin, sql);
}

void
held_hold(const struct hold *holds, size_t holds_count)
{
    const struct source_held held = source_fixture_hold(source, holds, holds_count);
    cr_assert_eq(held.failures.count, 0, "%s", held.failures.items[0].reason);
    cr_assert_eq(held.missing_count, 0);
    cr_assert_null(held.missing);
}

#define HOLDS_MAX 20

void
held_hold_from(int64_t first_id, size_t holds_count, enum held_state state)
{
    struct hold holds[HOLDS_MAX];
    cr_assert_leq(holds_count, HOLDS_MAX);
    for (size_t i = 0; i < holds_count; i++) {
        holds[i] = (struct hold){.id = first_id + (int64_t)i, .state = state};
    }
    held_hold(holds, holds_count);
}

struct source_released
held_give_back(void)
{
    const int64_t key = held_count("select hash_of('k')");
    const struct release release = {.keys = &key, .key_count = 1, .rows_max = 100};
    return source_fixture_release(source, release);
}

void
held_reopen(void)
{
    source->ops->free(source);
    source = source_fixture_own(&config);
}

void
held_expect_text(const char *sql, const char *expected)
{
    cr_assert_str_eq(db_text(admin, sql), expected, "%s: %s", sql, db_text(admin, sql));
}

bool
held_is_never(uint64_t in_us)
{
    return db_is_mysql() ? in_us > 24 * 365 * HOUR_US : in_us == CLOCK_NEVER_US;
}

void
held_be_without_right(const char *right, const char *table)
{
    (void)snprintf(user, sizeof(user), "source_held_%ld", (long)getpid()); /* fits */
    db_create_user(admin, user, "secret");
    db_grant_relay(admin, user);
    source_fixture_close(source, &config);
    config = source_fixture_here_as(user, TAKEOVER_US);
    source = source_fixture_own(&config);
    db_revoke(admin, user, right, table);
}

void
held_give_right_back(const char *right, const char *table)
{
    db_grant(admin, user, right, table);
}
