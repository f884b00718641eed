/* An operator takes away the log, in different ways, and nothing else. The relay says what is wrong and what to do,
 * polls at once, and reads the log again as soon as it can. Applications write all the time. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "tests/integration/log_fixture.h"
#include "tests/integration/scene_fixture.h"
#include "tests/integration/traffic_fixture.h"

TestSuite(relay_tail_recovery, .init = log_open_scene, .fini = log_close_scene, .timeout = 280);

#define NO_SWEEP "sweep_interval = \"1h\"\n"

static struct traffic *traffic;

static void
start(void)
{
    traffic_set_up(scene.db);
    scene_start_relay(NO_SWEEP);
    traffic = traffic_start_steady(scene.queue);
    scene_await("applications write", "select count(*) >= 10 from account where seq > 0");
}

/* Losing only the log must not make a message arrive twice. */
static void
finish(bool may_repeat)
{
    traffic_end(traffic);
    const uint64_t duplicates = ledger_check(NULL, scene.queue, scene.db);
    check(duplicates == 0 || may_repeat, "%llu came twice without a reason",
          (unsigned long long)duplicates);
    scene_drain_relay();
}

/* The table supplies what the log does not bring meanwhile, and the relay does not trust what it read from the damaged
 * log. */
static void
lose_and_mend(enum log_trouble trouble)
{
    start();
    for (unsigned i = 0; i < log_rounds(trouble); i++) {
        log_harm(trouble);
        (void)log_await_told(trouble); /* is enough */
        scene_expect_no_pause();
        log_mend(trouble);
        scene_await_tailing();
        scene_expect_no_pause();
    }
    finish(log_repeats(trouble));
}

Test(relay_tail_recovery, log_that_is_removed)
{
    lose_and_mend(LOG_REMOVED);
}

Test(relay_tail_recovery, a_log_that_is_begun_anew)
{
    lose_and_mend(LOG_BEGUN_ANEW);
}

Test(relay_tail_recovery, a_log_that_is_not_kept)
{
    lose_and_mend(LOG_NOT_KEPT);
}

Test(relay_tail_recovery, a_log_without_the_outbox)
{
    lose_and_mend(LOG_WITHOUT_OUTBOX);
}

Test(relay_tail_recovery, a_log_without_rows)
{
    lose_and_mend(LOG_WITHOUT_ROWS);
}
