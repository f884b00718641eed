#include "tests/unit/binlog_driver.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tests/fuzz/binlog_file.h"

#define CORPUS SOURCE_ROOT "/tests/fuzz/corpus/binlog/"
#define MESSAGE_BYTES_MAX 1000 /* the scene `large` has rows over it */
#define EVENT_BYTES_MAX 16384  /* `compressed` has a row of another table over it */

const char *const binlog_servers[BINLOG_SERVERS] = {"mariadb10", "mariadb11", "mysql9"};
const char *const binlog_columns[BINLOG_COLUMNS] = {
    "id",           "message_id", "exchange", "routing_key",  "key",        "type",
    "content_type", "headers",    "payload",  "payload_text", "created_at", "deliver_after",
};

uint8_t binlog_file[BINLOG_FILE_BYTES_MAX];
size_t binlog_file_size;
struct reader binlog_events;
struct my_binlog *binlog;
struct my_binlog_item binlog_item;
struct error binlog_error;
char binlog_trace[1024];
struct binlog_made binlog_made;

static uint8_t *event; /* the last event */

void
binlog_begin(uint64_t position, const char *const *names, size_t name_count)
{
    my_binlog_free(binlog);
    binlog = my_binlog_new(&(struct my_binlog_options){
        .schema = "shop",
        .table = "outbox",
        .columns = names,
        .column_count = name_count,
        .log = {"log."},
        .position = position,
        .message_bytes_max = MESSAGE_BYTES_MAX,
        .event_bytes_max = EVENT_BYTES_MAX,
    });
}

void
binlog_setup(void)
{
    binlog_begin(BINLOG_FILE | 4, binlog_columns, BINLOG_COLUMNS);
}

void
binlog_teardown(void)
{
    my_binlog_free(binlog);
    binlog = NULL;
    free(event);
    event = NULL;
}

void
binlog_open(const char *server, const char *scene)
{
    char path[512];
    const int length = snprintf(path, sizeof(path), "%s%s-%s", CORPUS, server, scene);
    cr_assert_lt(length, (int)sizeof(path));
    FILE *const from = fopen(path, "rb");
    cr_assert_not_null(from, "%s", path);
    binlog_file_size = fread(binlog_file, 1, sizeof(binlog_file), from);
    cr_assert(feof(from), "%s is too large", path);
    cr_assert_eq(fclose(from), 0);
    binlog_events = binlog_file_begin(binlog_file, binlog_file_size);
    binlog_begin(BINLOG_FILE | 4, binlog_columns, BINLOG_COLUMNS);
}

/* The bytes stay valid until the next event is fed. */
bool
binlog_feed(const void *bytes, size_t size)
{
    free(event);
    event = malloc(size > 0 ? size : 1);
    cr_assert_not_null(event);
    memcpy(event, bytes, size);
    return my_binlog_feed(binlog, (struct span){event, size}, &binlog_error);
}

bool
binlog_feed_next(void)
{
    struct span next;
    cr_assert(binlog_file_next(&binlog_events, &next), "the file is over");
    return binlog_feed(next.data, next.size);
}

static void PRINTF_LIKE(1, 2) note(const char *format, ...)
{
    const size_t used = strlen(binlog_trace);
    va_list arguments;
    va_start(arguments, format);
    const int length =
        vsnprintf(binlog_trace + used, sizeof(binlog_trace) - used, format, arguments);
    va_end(arguments);
    cr_assert_lt((size_t)length, sizeof(binlog_trace) - used);
}

static void
note_item(void)
{
    const char *const space = binlog_trace[0] == '\0' ? "" : " ";
    switch (binlog_item.type) {
    case MY_BINLOG_NOTHING:
        break;
    case MY_BINLOG_ROW:
        note(binlog_item.is_prepared ? "%s(%d)" : "%s%d", space, (int)binlog_item.row.id);
        break;
    case MY_BINLOG_PREPARED:
        note("%sprepared %.*s", space, (int)binlog_item.xid.size,
             (const char *)binlog_item.xid.data);
        break;
    case MY_BINLOG_COMMITTED:
        note("%scommitted %.*s", space, (int)binlog_item.xid.size,
             (const char *)binlog_item.xid.data);
        break;
    case MY_BINLOG_ROLLED_BACK:
        note("%srolled back %.*s", space, (int)binlog_item.xid.size,
             (const char *)binlog_item.xid.data);
        break;
    }
}

bool
binlog_take(void)
{
    do {
        if (!my_binlog_next(binlog, &binlog_item, &binlog_error)) {
            return false;
        }
        note_item();
    } while (binlog_item.type != MY_BINLOG_NOTHING);
    return true;
}

const char *
binlog_read_all(void)
{
    static const char *const classes[] = {
        [ERROR_TRANSIENT] = "transient",
        [ERROR_CONNECTION] = "connection",
        [ERROR_MESSAGE] = "message",
        [ERROR_CONFIG] = "config",
    };
    struct span next;
    binlog_trace[0] = '\0';
    while (binlog_file_next(&binlog_events, &next)) {
        if (!binlog_feed(next.data, next.size) || !binlog_take()) {
            note(" %s: %.30s", classes[binlog_error.class], binlog_error.text);
            break;
        }
    }
    return binlog_trace;
}

void
binlog_expect_scene(const char *scene, const char *expected)
{
    for (size_t i = 0; i < BINLOG_SERVERS; i++) {
        binlog_open(binlog_servers[i], scene);
        cr_assert_str_eq(binlog_read_all(), expected, "%s: %s instead of %s", binlog_servers[i],
                         binlog_trace, expected);
    }
}

const struct row *
binlog_next_row(void)
{
    for (;;) {
        cr_assert(my_binlog_next(binlog, &binlog_item, &binlog_error), "%s", binlog_error.text);
        if (binlog_item.type == MY_BINLOG_ROW) {
            return &binlog_item.row;
        }
        if (binlog_item.type == MY_BINLOG_NOTHING) {
            cr_assert(binlog_feed_next(), "%s", binlog_error.text);
        }
    }
}

/* ---- events of our own making ---- */

struct binlog_made binlog_made;

static void
put(const void *bytes, size_t size)
{
    cr_assert_leq(binlog_made.size + size, sizeof(binlog_made.bytes));
    memcpy(binlog_made.bytes + binlog_made.size, bytes, size);
    binlog_made.size += size;
}

void
binlog_put_number(uint64_t value, size_t size)
{
    const uint64_t little = htole64(value);
    put(&little, size);
}

void
binlog_make(unsigned type, unsigned flags, uint32_t end, const void *body, size_t size)
{
    binlog_made.size = 0;
    binlog_put_number(0, 4); /* time */
    binlog_put_number(type, 1);
    binlog_put_number(1, 4); /* server */
    binlog_put_number(MY_BINLOG_HEADER_BYTES + size, 4);
    binlog_put_number(end, 4);
    binlog_put_number(flags, 2);
    put(body, size);
}

bool
binlog_feed_made(void)
{
    return binlog_feed(binlog_made.bytes, binlog_made.size) && binlog_take();
}

void
binlog_make_rotate(unsigned flags, uint64_t offset, const char *name)
{
    uint8_t body[8 + 64];
    const uint64_t little = htole64(offset);
    memcpy(body, &little, sizeof(little));
    memcpy(body + 8, name, strlen(name));
    binlog_make(MY_EVENT_ROTATE, flags, 0, body, 8 + strlen(name));
}

void
binlog_make_query_in(const char *schema, uint32_t end, const char *text)
{
    const size_t schema_size = strlen(schema);
    uint8_t body[512] = {[8] = (uint8_t)schema_size}; /* no status variables */
    cr_assert_lt(14 + schema_size + strlen(text), sizeof(body));
    memcpy(body + 13, schema, schema_size);
    memcpy(body + 14 + schema_size, text, strlen(text));
    binlog_make(MY_EVENT_QUERY, 0, end, body, 14 + schema_size + strlen(text));
}

void
binlog_make_query(uint32_t end, const char *text)
{
    binlog_make_query_in("", end, text);
}

void
binlog_expect_good(void)
{
    cr_assert(binlog_feed_made(), "%s", binlog_error.text);
}

void
binlog_expect_refused(enum error_class class, const char *words)
{
    cr_assert_not(binlog_feed_made(), "accepted");
    cr_assert_eq(binlog_error.class, class, "%s", binlog_error.text);
    cr_assert_not_null(strstr(binlog_error.text, words), "%s", binlog_error.text);
}

void
binlog_begin_transaction(void)
{
    binlog_make(MY_EVENT_ANONYMOUS_GTID, 0, 0, "", 0);
    binlog_expect_good();
    binlog_make_query(0, "BEGIN");
    binlog_expect_good();
}

void
binlog_commit_at(uint32_t end)
{
    binlog_make(MY_EVENT_XID, 0, end, "12345678", 8);
    binlog_expect_good();
}
