/* Any log, given to one decoder: it reads nothing outside of an event (each has its own memory, so the sanitizer would
 * see it), and its results are valid. Checksums are corrected first, or no changed event would be decoded. After an
 * error the relay gives up the log, and so does this. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tests/fuzz/binlog_file.h"
#include "tests/fuzz/fuzz.h"

/* Like in the captured logs: some rows exceed it. */
#define MESSAGE_BYTES_MAX 1000
#define EVENT_BYTES_MAX 65536
#define CHECKSUM_BYTES 4

static const char *const columns[] = {
    "id",           "message_id", "exchange", "routing_key",  "key",        "type",
    "content_type", "headers",    "payload",  "payload_text", "created_at", "deliver_after",
};

/* Must hold for any input. Not assert(), because that does nothing in some builds. */
static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Reads all bytes, so that the sanitizer checks them. */
static void
read_span(struct span span)
{
    static volatile uint8_t sum;
    for (size_t i = 0; i < span.size; i++) {
        sum = (uint8_t)(sum + ((const uint8_t *)span.data)[i]);
    }
}

static void
check_row(const struct row *row)
{
    const struct span parts[] = {row->exchange,     row->routing_key, row->key,    row->type,
                                 row->content_type, row->headers,     row->payload};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        read_span(parts[i]);
    }
    require(row->headers.size + row->payload.size <= MESSAGE_BYTES_MAX);
    if (row->withheld != NULL || row->scheduled) {
        require(row->headers.size == 0 && row->payload.size == 0);
    }
    require(row->has_key == row->ordered && (row->has_key || row->key.size == 0));
    require(!row->exchange_is_null || row->exchange.size == 0);
}

/* False: it ended with an error. */
static bool
take_items(struct my_binlog *binlog, uint64_t before, struct error *reterr)
{
    struct my_binlog_item item;
    do {
        if (!my_binlog_next(binlog, &item, reterr)) {
            return false;
        }
        if (item.type == MY_BINLOG_ROW) {
            require(item.row.position >= before && item.row.position >= my_binlog_position(binlog));
            check_row(&item.row);
        } else if (item.type != MY_BINLOG_NOTHING) {
            require(item.position >= before);
            read_span(item.xid);
        }
    } while (item.type != MY_BINLOG_NOTHING);
    return true;
}

/* The checksum of the bytes before it. */
static void
put_checksum(uint8_t *bytes, size_t size)
{
    if (size >= CHECKSUM_BYTES) {
        const uint32_t checksum = htole32((uint32_t)crc32_z(0, bytes, size - CHECKSUM_BYTES));
        memcpy(bytes + size - CHECKSUM_BYTES, &checksum, sizeof(checksum));
    }
}

/* False: the log has ended. */
static bool
decode(struct my_binlog *binlog, struct span event, bool checksums)
{
    uint8_t *const exact = malloc(event.size);
    require(exact != NULL);
    memcpy(exact, event.data, event.size);
    if (checksums) {
        put_checksum(exact, event.size);
    }
    const uint64_t before = my_binlog_position(binlog);
    struct error error = {.text = ""};
    const bool good = my_binlog_feed(binlog, (struct span){exact, event.size}, &error) &&
                      take_items(binlog, before, &error);
    require(good || error.text[0] != '\0');
    require(my_binlog_position(binlog) >= before);
    free(exact);
    return good;
}

/* The decoder does not see the magic number, so its first byte tells whether events get checksums. */
int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const bool checksums = size > 0 && (bytes[0] & 1) != 0;
    struct reader reader = binlog_file_begin(bytes, size);
    struct my_binlog *const binlog = my_binlog_new(&(struct my_binlog_options){
        .schema = "shop",
        .table = "outbox",
        .columns = columns,
        .column_count = sizeof(columns) / sizeof(columns[0]),
        .log = {"log."},
        .position = (UINT64_C(1) << 32) | 4,
        .checksums = checksums,
        .message_bytes_max = MESSAGE_BYTES_MAX,
        .event_bytes_max = EVENT_BYTES_MAX,
    });
    struct span event;
    while (binlog_file_next(&reader, &event) && decode(binlog, event, checksums)) {
    }
    my_binlog_free(binlog);
    return 0;
}
