#include "relay/daemon/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "relay/daemon/log_writer.h"
#include "relay/daemon/recent.h"

/* One line. Below PIPE_BUF (4096), so that a write to a pipe is not mixed with another thread's. */
#define LINE_MAX_BYTES 4000
#define CUT_MARK_LOGFMT " cut=true"
#define CUT_MARK_JSON ",\"cut\":true"
/* Room kept for the mark, the end of the object and the newline. */
#define LINE_RESERVE 16
/* Long enough for a working reader to empty the buffer; a stuck reader must not keep the process alive. */
#define FLUSH_PATIENCE_US CLOCK_S_US

/* Set before the other threads start, then only read. */
/* Format and level may change while other threads log. */
static struct {
    atomic_uint format;
    atomic_uint level;
    bool journal;
} setup = {LOG_FORMAT_LOGFMT, LOG_INFO, false};

/* NULL: each caller writes its own lines. */
static struct log_writer *writer;

static _Thread_local const char *thread_source;

/* A line that is being built. A field that does not fit is left out, and `cut` is set. */
struct line {
    char *text;
    size_t size;
    size_t limit;
    bool cut;
};

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const char *const syslog_prefixes[] = {"<3>", "<4>", "<6>", "<7>"};

struct log_field
log_field_text(const char *name, const char *text)
{
    return log_field_bytes(name, text, text == NULL ? 0 : strlen(text));
}

struct log_field
log_field_bytes(const char *name, const void *data, size_t size)
{
    return (struct log_field){name, LOG_KIND_TEXT, 0, data, size};
}

struct log_field
log_field_number(const char *name, enum log_kind kind, int64_t number)
{
    return (struct log_field){name, kind, number, NULL, 0};
}

static void
put_bytes(struct line *line, const char *bytes, size_t size)
{
    if (line->cut || size > line->limit - line->size) {
        line->cut = true;
        return;
    }
    memcpy(line->text + line->size, bytes, size);
    line->size += size;
}

static void
put(struct line *line, const char *text)
{
    put_bytes(line, text, strlen(text));
}

static void
put_escaped_byte(struct line *line, unsigned char byte)
{
    char escape[8];
    switch (byte) {
    case '"':
        put(line, "\\\"");
        return;
    case '\\':
        put(line, "\\\\");
        return;
    case '\n':
        put(line, "\\n");
        return;
    case '\r':
        put(line, "\\r");
        return;
    case '\t':
        put(line, "\\t");
        return;
    default:
        (void)snprintf(escape, sizeof(escape), "\\u%04x", byte); /* fits */
        put(line, escape);
    }
}

static size_t
utf8_length(unsigned char lead)
{
    if (lead < 0x80) {
        return 1;
    }
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* U+0080 to U+009F are control characters too, and some terminals obey them. */
static bool
is_c1_control(const unsigned char *bytes)
{
    return bytes[0] == 0xc2 && bytes[1] < 0xa0;
}

/* Writes the first character of `bytes` so that it is safe for a terminal, for logfmt and for JSON. Returns how many
 * bytes it took. */
static size_t
put_character(struct line *line, const unsigned char *bytes, size_t size)
{
    const size_t length = utf8_length(bytes[0]);
    if (length > size || (length > 1 && !utf8_is_text(bytes, length))) {
        put(line, "\xef\xbf\xbd"); /* U+FFFD for a byte that is not UTF-8 */
        return 1;
    }
    if (length == 1 &&
        (bytes[0] < 0x20 || bytes[0] == '"' || bytes[0] == '\\' || bytes[0] == 0x7f)) {
        put_escaped_byte(line, bytes[0]);
    } else if (length == 2 && is_c1_control(bytes)) {
        put_escaped_byte(line,
                         bytes[1]); /* the code point of U+0080 to U+00BF is its second byte */
    } else {
        put_bytes(line, (const char *)bytes, length);
    }
    return length;
}

static void
put_quoted(struct line *line, const void *data, size_t size)
{
    const unsigned char *const bytes = data;
    put(line, "\"");
    for (size_t i = 0; i < size && !line->cut;) {
        i += put_character(line, bytes + i, size - i);
    }
    put(line, "\"");
}

/* logfmt needs no quotes round these. */
static bool
is_plain(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const char c = text[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\') {
            return false;
        }
    }
    return size > 0;
}

static void
put_text(struct line *line, enum log_format format, const char *data, size_t size)
{
    if (format == LOG_FORMAT_LOGFMT && is_plain(data, size)) {
        put_bytes(line, data, size);
    } else {
        put_quoted(line, data, size);
    }
}

static void
put_name(struct line *line, enum log_format format, const char *name)
{
    if (format == LOG_FORMAT_LOGFMT) {
        put(line, line->size > 0 && line->text[line->size - 1] != '>' ? " " : "");
        put(line, name);
        put(line, "=");
    } else {
        put(line, line->text[line->size - 1] == '{' ? "\"" : ",\"");
        put(line, name);
        put(line, "\":");
    }
}

static void
put_value(struct line *line, enum log_format format, const struct log_field *field)
{
    char text[UUID_TEXT_BYTES];
    switch (field->kind) {
    case LOG_KIND_INT:
        (void)snprintf(text, sizeof(text), "%" PRId64, field->number); /* fits */
        put(line, text);
        return;
    case LOG_KIND_UINT:
        (void)snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)field->number); /* fits */
        put(line, text);
        return;
    case LOG_KIND_BOOL:
        put(line, field->number != 0 ? "true" : "false");
        return;
    case LOG_KIND_UUID:
        uuid_format(field->data, text);
        put_text(line, format, text, strlen(text));
        return;
    case LOG_KIND_TEXT:
        put_text(line, format, field->data, field->size);
        return;
    case LOG_KIND_END:
        return;
    }
}

/* Writes the whole field or nothing: half a field would not parse. Only a long text is cut to what fits, and closed
 * properly. */
static void
put_field(struct line *line, enum log_format format, struct log_field field)
{
    if (line->cut || (field.kind == LOG_KIND_TEXT && field.data == NULL)) {
        return;
    }
    const size_t before = line->size;
    put_name(line, format, field.name);
    const size_t value_at = line->size;
    put_value(line, format, &field);
    if (!line->cut) {
        return;
    }
    if (field.kind == LOG_KIND_TEXT && line->size > value_at && line->text[value_at] == '"') {
        line->text[line->size++] = '"'; /* from the reserve */
    } else {
        line->size = before;
    }
}

static void
put_time(struct line *line, enum log_format format, uint64_t wall_us)
{
    const time_t seconds = (time_t)(wall_us / CLOCK_S_US);
    struct tm tm;
    char text[40];
    size_t size = gmtime_r(&seconds, &tm) == NULL ? 0 : strftime(text, sizeof(text), "%FT%T", &tm);
    size += (size_t)snprintf(text + size, sizeof(text) - size, ".%03uZ",
                             (unsigned)(wall_us / CLOCK_MS_US % 1000)); /* fits */
    put_name(line, format, "ts");
    put_text(line, format, text, size);
}

static void
put_head(struct line *line, enum log_format format, bool journal, uint64_t wall_us,
         enum log_level level, const char *event)
{
    if (journal) {
        put(line, syslog_prefixes[level]);
    }
    put(line, format == LOG_FORMAT_JSON ? "{" : "");
    if (!journal) {
        put_time(line, format, wall_us);
    }
    put_field(line, format, LOG_STR("level", level_names[level]));
    put_field(line, format, LOG_STR("event", event));
}

static void
put_end(struct line *line, enum log_format format)
{
    const bool cut = line->cut;
    line->cut = false;
    line->limit += LINE_RESERVE - 1;
    if (cut) {
        put(line, format == LOG_FORMAT_JSON ? CUT_MARK_JSON : CUT_MARK_LOGFMT);
    }
    put(line, format == LOG_FORMAT_JSON ? "}\n" : "\n");
    line->text[line->size] = '\0';
}

size_t
log_format_line(char *text, size_t size, enum log_format format, bool journal, uint64_t wall_us,
                enum log_level level, const char *event, const struct log_field *fields)
{
    struct line line = {.text = text, .limit = size - LINE_RESERVE};
    put_head(&line, format, journal, wall_us, level, event);
    /* The words first, then the source, then the rest. */
    const bool words = fields->name != NULL && strcmp(fields->name, "msg") == 0;
    if (words) {
        put_field(&line, format, *fields++);
    }
    put_field(&line, format, LOG_STR("source", thread_source));
    for (; fields->name != NULL; fields++) {
        put_field(&line, format, *fields);
    }
    put_end(&line, format);
    return line.size;
}

/* systemd sets JOURNAL_STREAM to "device:inode" of the socket it gave us; it is inherited by
 * children whose stderr may have gone elsewhere since, hence the comparison (systemd.exec(5)). */
static bool
stderr_is_journal(void)
{
    const char *const stream = getenv("JOURNAL_STREAM");
    struct stat status;
    uintmax_t device = 0;
    uintmax_t inode = 0;
    return stream != NULL && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

void
log_setup(enum log_format format, enum log_level level)
{
    log_change(format, level);
    setup.journal = stderr_is_journal();
}

void
log_change(enum log_format format, enum log_level level)
{
    atomic_store_explicit(&setup.format, (unsigned)format, memory_order_relaxed);
    atomic_store_explicit(&setup.level, (unsigned)level, memory_order_relaxed);
}

static enum log_format
present_format(void)
{
    return (enum log_format)atomic_load_explicit(&setup.format, memory_order_relaxed);
}

/* The log_writer_tell of this log. */
static size_t
tell_dropped(char *line, size_t size, uint64_t dropped)
{
    const struct log_field fields[] = {
        LOG_WORDS("nobody read the log in time; what it left out is not written anywhere"),
        LOG_UINT("lines", dropped),
        {0}};
    return log_format_line(line, size, present_format(), setup.journal, clock_wall_us(),
                           LOG_WARNING, "log_dropped", fields);
}

bool
log_start(struct error *reterr)
{
    writer = log_writer_start(STDERR_FILENO, tell_dropped, reterr);
    return writer != NULL;
}

/* True if all is written. */
static bool
flush(void)
{
    return writer != NULL && log_writer_flush(writer, FLUSH_PATIENCE_US);
}

void
log_flush(void)
{
    (void)flush(); /* nothing can be done about unwritten lines */
}

void
log_stop(void)
{
    if (flush()) {
        log_writer_free(writer);
        writer = NULL;
    }
}

void
log_set_source(const char *name)
{
    thread_source = name;
}

bool
log_enabled(enum log_level level)
{
    return level <= atomic_load_explicit(&setup.level, memory_order_relaxed);
}

void
log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    const int saved_errno = errno;
    const uint64_t wall_us = clock_wall_us();
    char line[LINE_MAX_BYTES];
    const size_t size = log_format_line(line, sizeof(line), present_format(), setup.journal,
                                        wall_us, level, event, fields);
    recent_note(wall_us, level, event, thread_source, fields);
    if (writer != NULL) {
        log_writer_put(writer, line, size);
    } else {
        ssize_t written; /* a failed write is lost: it cannot be reported anywhere */
        do {
            written = write(STDERR_FILENO, line, size);
        } while (written < 0 && errno == EINTR);
    }
    errno = saved_errno;
}
