#include "tests/unit/fake_worker.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/daemon/worker.h"
#include "relay/kinds/kinds.h"
#include "relay/rabbit/kind.h"

#define FAR_US (60 * CLOCK_S_US)

enum fake_behaviour fake_behaviours[128];
char fake_acts[4000];
int fake_started_fd = -1;
int fake_draining_fd = -1;

struct worker {
    struct config *config;
    enum fake_behaviour behaviour;
    char letter;
    int wake_fd;
    struct board *board;
    struct board_entry *entry;
    atomic_bool finished;
};

static void
note(char act, char letter)
{
    const size_t length = strlen(fake_acts);
    cr_assert_lt(length + 4, sizeof(fake_acts));
    (void)snprintf(fake_acts + length, sizeof(fake_acts) - length, "%c%c ", act, letter); /* fits */
}

static void
tell(int fd)
{
    if (fd >= 0) {
        cr_assert_eq(eventfd_write(fd, 1), 0);
    }
}

static void
finish(struct worker *worker)
{
    atomic_store(&worker->finished, true);
    tell(worker->wake_fd);
}

struct worker *
worker_start(const struct source_config *config, struct config *global, struct board *board,
             int wake_fd, struct error *reterr)
{
    const char name = config->name[0];
    const char letter = (char)(config->publishers == 2 ? toupper(name) : name);
    const enum fake_behaviour behaviour = fake_behaviours[(unsigned char)letter];
    cr_assert(config >= global->sources && config < global->sources + global->source_count);
    note(behaviour == FAKE_CANNOT_START ? '?' : '+', letter);
    tell(fake_started_fd);
    if (behaviour == FAKE_CANNOT_START) {
        (void)error_set(reterr, ERROR_CONFIG, "no thread to be had"); /* always false */
        return NULL;
    }
    struct worker *const worker = memory_array(1, sizeof(*worker));
    *worker = (struct worker){config_ref(global),       behaviour, letter, wake_fd, board,
                              board_add(board, config), false};
    board_turn(worker->entry, behaviour == FAKE_STUCK ? 1 : clock_monotonic_us() + FAR_US);
    if (behaviour == FAKE_ENDS_AT_ONCE) {
        finish(worker);
    }
    return worker;
}

void
worker_drain(struct worker *worker)
{
    note('-', worker->letter);
    tell(fake_draining_fd);
    if (worker->behaviour != FAKE_NEVER_ENDS && worker->behaviour != FAKE_ENDS_WHEN_LEFT &&
        worker->behaviour != FAKE_ENDS_AT_ONCE) {
        finish(worker);
    }
}

void
worker_leave(struct worker *worker)
{
    note('!', worker->letter);
    if (worker->behaviour == FAKE_ENDS_WHEN_LEFT) {
        finish(worker);
    }
}

bool
worker_finished(const struct worker *worker)
{
    return atomic_load(&worker->finished);
}

bool
worker_join(struct worker *worker)
{
    const bool clean = worker->behaviour == FAKE_DRAINS || worker->behaviour == FAKE_ENDS_AT_ONCE;
    cr_assert(worker_finished(worker));
    note('_', worker->letter);
    board_remove(worker->board, worker->entry);
    config_free(worker->config);
    memory_free(worker);
    return clean;
}

struct config *
fake_config(const char *letters, uint64_t shutdown_timeout_us)
{
    struct config *const config = memory_array(1, sizeof(*config));
    atomic_init(&config->references, 1);
    config->log_level = LOG_DEBUG;
    config->shutdown_timeout_us = shutdown_timeout_us;
    config->brokers = memory_array(2, sizeof(*config->brokers));
    config->broker_count = 2;
    for (size_t i = 0; i < 2; i++) {
        config->brokers[i] = (struct broker_config){
            .name = memory_string(i == 0 ? "main" : "other"), .kind = &broker_rabbit};
    }
    config->sources = memory_array(strlen(letters) + 1, sizeof(*config->sources));
    for (; *letters != '\0'; letters++) {
        const char name[] = {(char)tolower(*letters), '\0'};
        config->sources[config->source_count++] = (struct source_config){
            .name = memory_string(name),
            .broker = &config->brokers[name[0] >= 'b' && name[0] <= 'm' ? 0 : 1],
            .kind = database_kinds[0],
            .publishers = isupper(*letters) ? 2 : 1,
        };
    }
    return config;
}
