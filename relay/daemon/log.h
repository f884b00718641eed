/* relay/daemon/log.h - what the relay tells its operator: one event per line on stderr, as logfmt or JSON.
 *
 *   log_info("lane_open", LOG_WORDS("publishing"), LOG_STR("peer", peer), LOG_INT("attempt", attempt));
 *   → 2026-03-01T10:00:00.123Z level=info event=lane_open msg=publishing source=orders peer=rabbit:5672 attempt=2
 *
 * The event name is stable: people search for it and set alerts on it. The words, if any, come first. A line is built
 * on the stack and written by one write(2) in a separate thread, so that nobody waits for the reader of the log
 * (log_writer.h); a line that is too long is cut, and says so. Under the journal ($JOURNAL_STREAM names our stderr)
 * lines begin with "<3>" and have no time, since the journal has its own. Values are quoted and control characters
 * escaped here. No payload and no secret may be given to it. */
#ifndef RELAY_DAEMON_LOG_H
#define RELAY_DAEMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/uuid.h"           /* UUID_BYTES, for LOG_UUID */
#include "relay/config/config.h" /* enum log_format, enum log_level */

enum log_kind {
    LOG_KIND_END,
    LOG_KIND_TEXT,
    LOG_KIND_INT,
    LOG_KIND_UINT,
    LOG_KIND_BOOL,
    LOG_KIND_UUID
};

/* Made only by the macros below; borrows its data until log_write returns. */
struct log_field {
    const char *name;
    enum log_kind kind;
    int64_t number;
    const void *data;
    size_t size;
};

#define LOG_WORDS(text) LOG_STR("msg", (text))
#define LOG_STR(name, text) log_field_text((name), (text)) /* NULL is left out */
#define LOG_BYTES(name, data, size) log_field_bytes((name), (data), (size))
#define LOG_INT(name, value) log_field_number((name), LOG_KIND_INT, (int64_t)(value))
#define LOG_UINT(name, value) log_field_number((name), LOG_KIND_UINT, (int64_t)(uint64_t)(value))
#define LOG_BOOL(name, value) log_field_number((name), LOG_KIND_BOOL, (value) ? 1 : 0)
#define LOG_MS(name, us) \
    LOG_UINT((name), (us) / 1000) /* microseconds in, milliseconds out: call it something_ms */
#define LOG_UUID(name, uuid) ((struct log_field){(name), LOG_KIND_UUID, 0, (uuid), UUID_BYTES})
#define LOG_CAUSE(error) LOG_STR("error", (error)->text) /* of a struct error * */

struct log_field log_field_text(const char *name, const char *text);
struct log_field log_field_bytes(const char *name, const void *data, size_t size);
struct log_field log_field_number(const char *name, enum log_kind kind, int64_t number);

/* At least one field. Arguments are evaluated only if the level is logged. */
#define log_event(level, event, ...)                                                   \
    do {                                                                               \
        if (log_enabled(level)) {                                                      \
            log_write((level), (event), (const struct log_field[]){__VA_ARGS__, {0}}); \
        }                                                                              \
    } while (0)
#define log_error(event, ...) log_event(LOG_ERROR, event, __VA_ARGS__)
#define log_warning(event, ...) log_event(LOG_WARNING, event, __VA_ARGS__)
#define log_info(event, ...) log_event(LOG_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) log_event(LOG_DEBUG, event, __VA_ARGS__)

/* Main thread, before any other starts. Until then: logfmt, LOG_INFO. */
void log_setup(enum log_format format, enum log_level level);

/* From now on. Any thread. */
void log_change(enum log_format format, enum log_level level);

/* Main thread, before any other starts: from now on a separate thread writes the lines; before that, and without it,
 * each caller writes its own. False with *reterr if the thread cannot be created. */
bool log_start(struct error *reterr) MUST_CHECK;

/* Main thread, before the process ends: waits up to a second until all lines are written. */
void log_flush(void);

/* Main thread, when no other thread logs any more: log_flush, then ends the writer's thread, unless that is stuck in a
 * write. */
void log_stop(void);

/* The source for which this thread works; each of its lines names it from now on. Borrowed for the life of the thread;
 * NULL: none. */
void log_set_source(const char *name);

bool log_enabled(enum log_level level);

/* Any thread. Ends at the field whose name is NULL. errno is kept. */
void log_write(enum log_level level, const char *event, const struct log_field *fields);

/* Formats a line as log_write does, zero-terminated, with its newline: for tests, and for lines that go elsewhere.
 * Returns the length. size >= 64. */
size_t log_format_line(char *line, size_t size, enum log_format format, bool journal,
                       uint64_t wall_us, enum log_level level, const char *event,
                       const struct log_field *fields);

#endif
