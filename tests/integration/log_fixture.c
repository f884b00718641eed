#include "tests/integration/log_fixture.h"

#include <stddef.h>

#include "tests/integration/log_fixture_private.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/servers_fixture.h"

/* A slot and a publication belong to one database, a binary log to the whole server. */
void
log_open_scene(void)
{
    if (db_is_mysql()) {
        servers_start(db_server());
    }
    scene_open_tail();
}

void
log_close_scene(void)
{
    scene_close();
    servers_stop();
}

static const struct log_ways *
ways(enum log_trouble trouble)
{
    const struct log_ways *const all = db_choose(log_ways_postgres, log_ways_mysql);
    return &all[trouble];
}

void
log_harm(enum log_trouble trouble)
{
    ways(trouble)->harm();
}

const char *
log_await_told(enum log_trouble trouble)
{
    return relay_await_log(scene.relay, ways(trouble)->event, ways(trouble)->words);
}

void
log_mend(enum log_trouble trouble)
{
    if (ways(trouble)->mend != NULL) {
        ways(trouble)->mend();
    }
}

unsigned
log_rounds(enum log_trouble trouble)
{
    return ways(trouble)->rounds;
}

bool
log_repeats(enum log_trouble trouble)
{
    return ways(trouble)->repeats;
}
