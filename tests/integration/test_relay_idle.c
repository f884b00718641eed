/* Promise: a relay that tails an idle database wakes about once a second at most. OUTBOX_TEST_IDLE_S says how long that is
 * measured; what was counted is printed. The database server is the test's own: in another one the log is never idle. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "tests/integration/scene_fixture.h"

/* Threads that run one after the other, for one reason, are one waking: they are still between two of these looks. */
#define LOOK_NS 20000000L
/* Half a minute or more shows all reasons as often as they are. In less the rarer ones may come together, and servers that are
 * busy with other tests answer late. */
#define WHOLE_S 30
#define PER_S_WHOLE 1.0
#define PER_S_SHORT 1.5

static void
set_up(void)
{
    scene_tail();
    scene_open_own();
}

TestSuite(relay_idle, .init = set_up, .fini = scene_close_own, .timeout = 240);

static uint64_t
switches_of(const char *process, const char *thread)
{
    static const char field[] = "voluntary_ctxt_switches:";
    char path[600];
    char line[256];
    uint64_t count = 0;
    (void)snprintf(path, sizeof(path), "/proc/%s/task/%s/status", process, thread); /* fits */
    FILE *const file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, field, sizeof(field) - 1) == 0) {
            count = strtoull(line + sizeof(field) - 1, NULL, 10);
        }
    }
    cr_assert(file == NULL || fclose(file) == 0); /* the thread may have ended */
    return count;
}

/* How often its threads have gone to sleep. */
static uint64_t
switches(void)
{
    char process[32];
    char path[64];
    uint64_t sum = 0;
    (void)snprintf(process, sizeof(process), "%d", relay_pid(scene.relay)); /* fit */
    (void)snprintf(path, sizeof(path), "/proc/%s/task", process);
    DIR *const directory = opendir(path);
    cr_assert_not_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        sum += isdigit((unsigned char)entry->d_name[0]) ? switches_of(process, entry->d_name) : 0;
    }
    cr_assert_eq(closedir(directory), 0);
    return sum;
}

/* Sleeps: that nothing happens meanwhile is what is measured. Returns how often the relay began to do something. */
static uint64_t
wakings(uint64_t seconds)
{
    const uint64_t end_us = clock_monotonic_us() + seconds * CLOCK_S_US;
    const struct timespec look = {.tv_nsec = LOOK_NS};
    uint64_t count = 0;
    uint64_t before = switches();
    bool awake = false;
    while (clock_monotonic_us() < end_us) {
        (void)nanosleep(&look, NULL); /* a look that comes early finds no more */
        const uint64_t now = switches();
        count += now != before && !awake ? 1 : 0;
        awake = now != before;
        before = now;
    }
    return count;
}

Test(relay_idle, a_relay_that_tails_an_idle_database_wakes_once_a_second_at_most)
{
    const uint64_t seconds = strtoull(test_env("OUTBOX_TEST_IDLE_S"), NULL, 10);
    scene_start_relay(NULL);
    (void)wakings(5); /* what the start has left to do */
    const uint64_t before = switches();
    const uint64_t count = wakings(seconds);
    const uint64_t threads = switches() - before;
    (void)fprintf(
        stderr,
        "idle: woke %llu times in %llu s, its threads %llu times in all; memory: %llu KiB\n",
        (unsigned long long)count, (unsigned long long)seconds, (unsigned long long)threads,
        (unsigned long long)relay_peak_kib(scene.relay));
    check((double)count <= (double)seconds * (seconds >= WHOLE_S ? PER_S_WHOLE : PER_S_SHORT),
          "it woke %llu times in %llu s", (unsigned long long)count, (unsigned long long)seconds);
    scene_drain_relay();
}
