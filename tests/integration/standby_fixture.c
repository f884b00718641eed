#include "tests/integration/standby_fixture.h"

#include <stddef.h>
#include <string.h>

#include "tests/integration/scene_fixture.h"
#include "tests/integration/standby_fixture_private.h"

static const struct standby_ways *
ways(void)
{
    return db_choose(&standby_ways_postgres, &standby_ways_mysql);
}

static void
await_notices(const char *const *notices)
{
    for (size_t i = 0; notices[i] != NULL; i++) {
        /* That they come is enough. */
        (void)relay_await_log(scene.relay, "event=source_notice", notices[i]);
    }
}

void
standby_follow(bool with_place)
{
    ways()->follow(with_place);
}

void
standby_promote(void)
{
    ways()->promote();
}

bool
standby_knows_place(void)
{
    return ways()->knows_place();
}

void
standby_await_place(void)
{
    if (standby_knows_place()) {
        ways()->await_place();
    }
}

const char *const *
standby_promoted_words(void)
{
    static const char *words[3];
    memcpy(words, ways()->promoted, sizeof(words));
    if (standby_knows_place()) {
        words[1] = NULL;
    }
    return words;
}

void
standby_await_promoted(void)
{
    await_notices(standby_promoted_words());
}

void
standby_restore(void)
{
    ways()->restore();
}

void
standby_await_restored(void)
{
    await_notices(ways()->restored);
}

void
standby_hold_commits(void)
{
    ways()->hold_commits();
}

void
standby_let_commits_go(void)
{
    ways()->let_commits_go();
}
