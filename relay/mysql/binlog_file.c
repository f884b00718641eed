/* The position of an event in the log. Its header tells where it ends in only 32 bits, but a file that ends with a
 * large transaction may be larger than 4 GiB, and its last events must not seem to come before its first. So offsets
 * are counted in 64 bits: the lowest number that has these lower 32 bits and is not below the end of the event's bytes.
 * (Between two events there may be others that the server does not send.) */
#include <string.h>

#include "relay/mysql/binlog_private.h"

#define FIRST_OFFSET 4               /* after the file's magic number */
#define STEP_MAX (UINT64_C(2) << 30) /* events have at most 1 GiB */
#define VERSION 4                    /* of the log's format, since MySQL 5.0 */
#define SERVER_VERSION_BYTES 50
#define TABLE_MAP_HEADER_BYTES 8

/* A reader that begins within a file gets the format description again: that copy has no position here. */
static bool
has_place(const struct my_binlog *binlog, const struct my_event *event)
{
    return !binlog->inside && event->end != 0 && (event->flags & MY_EVENT_FLAG_ARTIFICIAL) == 0 &&
           (event->type != MY_EVENT_FORMAT_DESCRIPTION || binlog->offset == FIRST_OFFSET);
}

static uint64_t
offset_with(uint32_t low, uint64_t at_least)
{
    const uint64_t offset = (at_least & ~(uint64_t)UINT32_MAX) | low;
    return offset < at_least ? offset + UINT32_MAX + 1 : offset;
}

bool
my_binlog_place(struct my_binlog *binlog, const struct my_event *event, uint64_t *ret_start,
                struct error *reterr)
{
    const uint64_t before = binlog->offset;
    *ret_start = my_position_at(binlog->position, before);
    if (!has_place(binlog, event)) {
        return true;
    }
    /* Its position is the end of the event before. */
    const bool is_heartbeat = event->type == MY_EVENT_HEARTBEAT;
    const uint64_t size = is_heartbeat ? 0 : event->size;
    const uint64_t offset = offset_with(event->end, before + size);
    if (offset - before > STEP_MAX) {
        return my_binlog_not_understood(
            binlog, "its position is lower than that of the event before it", reterr);
    }
    binlog->offset = offset;
    *ret_start = my_position_at(binlog->position, offset - size);
    return true;
}

/* ROTATE has the offset, then the name of the next file. */
bool
my_binlog_rotate(struct my_binlog *binlog, const struct my_event *event, struct error *reterr)
{
    struct reader reader = reader_of(event->body);
    const uint64_t offset = read_little(&reader, 8);
    const struct span name = {reader.at, (size_t)(reader.end - reader.at)};
    struct my_log log;
    uint64_t position;
    if (reader.bad || !my_position_of(name, offset, &log, &position)) {
        return my_binlog_no_such_form(binlog, reterr);
    }
    if (strcmp(log.base, binlog->log.base) != 0 || position < binlog->position) {
        return error_set(reterr, ERROR_TRANSIENT,
                         "the server's log was begun anew (RESET MASTER, another log_bin, or a "
                         "restore)");
    }
    binlog->position = position;
    binlog->offset = offset;
    binlog->group = MY_GROUP_NONE;   /* an open group was cut off by a crash */
    my_table_forget(&binlog->table); /* a restarted server may use the same ids for other tables */
    return true;
}

/* FORMAT_DESCRIPTION has the version of the format, the version of the server, a time, the length of headers, a length
 * for each type; then whether events have checksums, and its own checksum. */
bool
my_binlog_format(struct my_binlog *binlog, const struct my_event *event, struct error *reterr)
{
    struct reader reader = reader_of(event->body);
    const uint64_t version = read_little(&reader, 2);
    (void)read_bytes(&reader, SERVER_VERSION_BYTES);
    (void)read_little(&reader, 4);
    const uint8_t header_bytes = read_u8(&reader);
    const size_t left = (size_t)(reader.end - reader.at);
    if (reader.bad || version != VERSION || header_bytes != MY_BINLOG_HEADER_BYTES ||
        left <= MY_EVENT_TABLE_MAP + MY_CHECKSUM_BYTES ||
        reader.at[MY_EVENT_TABLE_MAP - 1] != TABLE_MAP_HEADER_BYTES) {
        return my_binlog_no_such_form(binlog, reterr);
    }
    const uint8_t checksum = reader.at[left - MY_CHECKSUM_BYTES - 1];
    binlog->checksums = checksum == 1; /* CRC32 */
    return checksum <= 1 ||
           my_binlog_not_understood(binlog, "checksums are of another kind", reterr);
}
