#include "relay/http/health.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

enum health
health_of(const struct board_view *view)
{
    if (view == NULL) {
        return HEALTH_STARTING;
    }
    if (view->stuck) {
        return HEALTH_HANGING;
    }
    if (view->draining) {
        return HEALTH_DRAINING;
    }
    if (view->state == BOARD_STARTING || view->state == BOARD_STANDBY) {
        return view->state == BOARD_STARTING ? HEALTH_STARTING : HEALTH_STANDBY;
    }
    if (view->state == BOARD_LOST || view->pause != PAUSE_NONE) {
        return HEALTH_STUCK;
    }
    return view->counts.in_flight > 0 || view->counts.queued > 0 ? HEALTH_PUBLISHING : HEALTH_IDLE;
}

const char *
health_word(enum health health)
{
    static const char *const words[] = {
        [HEALTH_STARTING] = "starting", [HEALTH_PUBLISHING] = "publishing",
        [HEALTH_IDLE] = "idle",         [HEALTH_STANDBY] = "standing by",
        [HEALTH_STUCK] = "stuck",       [HEALTH_DRAINING] = "draining",
        [HEALTH_HANGING] = "hanging",
    };
    return words[health];
}

const char *
health_reason(const struct board_view *view)
{
    switch (health_of(view)) {
    case HEALTH_STARTING:
        return view == NULL || view->state_reason[0] == '\0' ? "the database was not reached yet"
                                                             : view->state_reason;
    case HEALTH_STUCK:
        return view->state == BOARD_LOST ? view->state_reason : view->pause_reason;
    case HEALTH_HANGING:
        return "its thread does not come back from its work";
    case HEALTH_PUBLISHING:
    case HEALTH_IDLE:
    case HEALTH_STANDBY:
    case HEALTH_DRAINING:
        break;
    }
    return "";
}

/* Since when a source is stuck; 0: it is not. */
static uint64_t
stuck_since_us(const struct board_view *view)
{
    if (health_of(view) != HEALTH_STUCK) {
        return 0;
    }
    return view->state == BOARD_LOST ? view->state_since_us : view->pause_since_us;
}

/* The words may be a server's, with anything in them. */
static void
print_clean(FILE *out, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        const unsigned char byte = (unsigned char)*at;
        (void)fputc(byte < ' ' || byte == 0x7f ? '?' : byte, out); /* into memory */
    }
}

static void
print_source(FILE *out, const char *name, const struct board_view *view, uint64_t now_us)
{
    const uint64_t since_us = stuck_since_us(view);
    const char *const reason = health_reason(view);
    (void)fprintf(out, "%s: %s", name, health_word(health_of(view))); /* as above */
    if (since_us > 0 && now_us >= since_us) {
        (void)fprintf(out, " for %" PRIu64 " s", (now_us - since_us) / CLOCK_S_US); /* as above */
    }
    if (reason[0] != '\0') {
        (void)fputs(": ", out); /* as above */
        print_clean(out, reason);
    }
    (void)fputc('\n', out); /* as above */
}

bool
health_is_alive(FILE *out, struct board *board, uint64_t now_us)
{
    struct board_view *views;
    bool alive = true;
    const size_t count = board_read(board, now_us, &views);
    for (size_t i = 0; i < count; i++) {
        if (views[i].stuck) {
            alive = false;
            print_source(out, views[i].source, &views[i], now_us);
        }
    }
    memory_free(views);
    if (alive) {
        (void)fputs("alive\n", out); /* as above */
    }
    return alive;
}

static const struct board_view *
view_of(const struct board_view *views, size_t count, const char *source)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(views[i].source, source) == 0) {
            return &views[i];
        }
    }
    return NULL;
}

static bool
is_good(enum health health, bool stuck_unready)
{
    switch (health) {
    case HEALTH_PUBLISHING:
    case HEALTH_IDLE:
    case HEALTH_STANDBY:
        return true;
    case HEALTH_STUCK:
        return !stuck_unready;
    case HEALTH_STARTING:
    case HEALTH_DRAINING:
    case HEALTH_HANGING:
        break;
    }
    return false;
}

static bool
is_ready(FILE *out, struct board *board, const struct config *config, uint64_t now_us)
{
    struct board_view *views;
    bool ready = true;
    const size_t count = board_read(board, now_us, &views);
    const bool stuck_unready = config->http != NULL && config->http->stuck_unready;
    for (size_t i = 0; i < config->source_count; i++) {
        const char *const name = config->sources[i].name;
        const struct board_view *const view = view_of(views, count, name);
        ready &= is_good(health_of(view), stuck_unready);
        print_source(out, name, view, now_us);
    }
    memory_free(views);
    return ready;
}

bool
health_is_ready(FILE *out, struct board *board, uint64_t now_us)
{
    struct config *const config = board_config(board);
    const bool ready = config != NULL && is_ready(out, board, config, now_us);
    config_free(config);
    return ready;
}
