#include "relay/daemon/board.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

struct board_entry {
    struct board_entry *next;
    struct board_view view;
    /* When the present turn began, or the next one begins at the latest; 0: none has begun. */
    _Atomic uint64_t due_us;
};

struct board {
    pthread_mutex_t mutex;
    struct config *config;
    struct board_entry *first;
    size_t count;
    struct board_template *templates;
    size_t template_count;
};

const char *
board_state_word(enum board_state state)
{
    static const char *const words[BOARD_STATES] = {"starting", "standby", "owned", "lost"};
    return words[state];
}

const char *
board_pause_word(enum pipeline_pause pause)
{
    static const char *const words[PIPELINE_PAUSES] = {
        [PAUSE_NONE] = "none",
        [PAUSE_NO_BROKER] = "broker",
        [PAUSE_BLOCKED] = "blocked",
        [PAUSE_DEGRADED] = "degraded",
        [PAUSE_UNDELETABLE] = "undeletable",
        [PAUSE_FULL] = "held_max",
    };
    return words[pause];
}

struct board *
board_new(void)
{
    struct board *const board = memory_array(1, sizeof(*board));
    (void)pthread_mutex_init(&board->mutex, NULL); /* cannot fail on Linux */
    return board;
}

void
board_free(struct board *board)
{
    if (board == NULL) {
        return;
    }
    assert(board->first == NULL);
    config_free(board->config);
    memory_free(board->templates);
    (void)pthread_mutex_destroy(&board->mutex); /* nobody uses it */
    memory_free(board);
}

static void
lock(struct board *board)
{
    (void)pthread_mutex_lock(&board->mutex); /* cannot fail: it is ours, and never taken twice */
}

static void
unlock(struct board *board)
{
    (void)pthread_mutex_unlock(&board->mutex); /* as above */
}

void
board_set_config(struct board *board, struct config *config)
{
    struct config *const mine = config_ref(config);
    lock(board);
    struct config *const before = board->config;
    board->config = mine;
    unlock(board);
    config_free(before);
}

struct config *
board_config(struct board *board)
{
    lock(board);
    struct config *const config = board->config == NULL ? NULL : config_ref(board->config);
    unlock(board);
    return config;
}

void
board_set_templates(struct board *board, struct board_template *templates, size_t count)
{
    lock(board);
    struct board_template *const before = board->templates;
    board->templates = templates;
    board->template_count = count;
    unlock(board);
    memory_free(before);
}

size_t
board_templates(struct board *board, struct board_template **ret_templates)
{
    lock(board);
    const size_t count = board->template_count;
    struct board_template *const copy = memory_array(count + 1, sizeof(*copy));
    if (count > 0) {
        memcpy(copy, board->templates, count * sizeof(*copy));
    }
    unlock(board);
    *ret_templates = copy;
    return count;
}

static bool
is_stuck(struct board_entry *entry, uint64_t now_us, uint64_t patience_us)
{
    const uint64_t due_us = atomic_load_explicit(&entry->due_us, memory_order_relaxed);
    return due_us != 0 && now_us > due_us && now_us - due_us > patience_us;
}

bool
board_find_stuck(struct board *board, uint64_t now_us, uint64_t patience_us,
                 char ret_source[BOARD_NAME_BYTES])
{
    lock(board);
    struct board_entry *entry = board->first;
    while (entry != NULL && !is_stuck(entry, now_us, patience_us)) {
        entry = entry->next;
    }
    if (entry != NULL) {
        memcpy(ret_source, entry->view.source, BOARD_NAME_BYTES);
    }
    unlock(board);
    return entry != NULL;
}

size_t
board_read(struct board *board, uint64_t now_us, struct board_view **ret_views)
{
    size_t count = 0;
    lock(board);
    struct board_view *const views = memory_array(board->count + 1, sizeof(*views));
    for (struct board_entry *entry = board->first; entry != NULL; entry = entry->next) {
        views[count] = entry->view;
        views[count++].stuck = is_stuck(entry, now_us, BOARD_STUCK_US);
    }
    unlock(board);
    *ret_views = views;
    return count;
}

log_position
board_log_read(struct board *board, const char *source)
{
    log_position read = 0;
    lock(board);
    for (const struct board_entry *entry = board->first; entry != NULL; entry = entry->next) {
        if (strcmp(entry->view.source, source) == 0 && entry->view.state == BOARD_OWNED) {
            read = entry->view.counts.log_read;
        }
    }
    unlock(board);
    return read;
}

static void
copy_name(char *to, size_t size, const char *name)
{
    (void)snprintf(to, size, "%s", name == NULL ? "" : name); /* names are shorter; cut is fine */
}

struct board_entry *
board_add(struct board *board, const struct source_config *source)
{
    struct board_entry *const entry = memory_array(1, sizeof(*entry));
    struct board_entry **last = &board->first;
    copy_name(entry->view.source, sizeof(entry->view.source), source->name);
    copy_name(entry->view.kind, sizeof(entry->view.kind), source->kind->name);
    copy_name(entry->view.broker, sizeof(entry->view.broker), source->broker->name);
    entry->view.wants_tail = source->mode != SOURCE_MODE_POLL && !source->crowded;
    lock(board);
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = entry;
    board->count++;
    unlock(board);
    return entry;
}

void
board_remove(struct board *board, struct board_entry *entry)
{
    struct board_entry **at = &board->first;
    lock(board);
    while (*at != entry) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = entry->next;
    board->count--;
    unlock(board);
    memory_free(entry);
}

void
board_show(struct board *board, struct board_entry *entry, const struct board_view *view)
{
    struct board_view *const shown = &entry->view;
    lock(board);
    const struct board_view before = *shown;
    *shown = *view;
    memcpy(shown->source, before.source, sizeof(shown->source));
    memcpy(shown->kind, before.kind, sizeof(shown->kind));
    memcpy(shown->broker, before.broker, sizeof(shown->broker));
    shown->wants_tail = before.wants_tail;
    unlock(board);
}

void
board_turn(struct board_entry *entry, uint64_t now_us)
{
    atomic_store_explicit(&entry->due_us, now_us, memory_order_relaxed);
}

void
board_rest(struct board_entry *entry, uint64_t until_us)
{
    atomic_store_explicit(&entry->due_us, until_us, memory_order_relaxed);
}
