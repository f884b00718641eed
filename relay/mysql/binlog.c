#include "relay/mysql/binlog.h"

#include <zlib.h>

#include "base/memory.h"
#include "relay/mysql/binlog_private.h"

#define TABLE_ID_BYTES 6

struct my_binlog *
my_binlog_new(const struct my_binlog_options *options)
{
    struct my_binlog *binlog = memory_array(1, sizeof(*binlog));
    my_table_init(&binlog->table, options->schema, options->table, options->columns,
                  options->column_count);
    binlog->log = options->log;
    binlog->position = options->position;
    binlog->offset = (uint32_t)options->position;
    binlog->checksums = options->checksums;
    binlog->message_bytes_max = options->message_bytes_max;
    binlog->inflate = my_inflate_new(options->event_bytes_max, options->stopping);
    my_hash_init(&binlog->hash);
    my_rows_begin(&binlog->rows, (struct span){0});
    return binlog;
}

void
my_binlog_free(struct my_binlog *binlog)
{
    if (binlog != NULL) {
        my_inflate_free(binlog->inflate);
        my_hash_done(&binlog->hash);
        memory_free(binlog);
    }
}

uint64_t
my_binlog_position(const struct my_binlog *binlog)
{
    return binlog->position;
}

bool
my_binlog_not_understood(const struct my_binlog *binlog, const char *why, struct error *reterr)
{
    return error_set(reterr, ERROR_CONNECTION,
                     "an event of type %u of the server's log is not understood: %s",
                     binlog->event_type, why);
}

bool
my_binlog_no_such_form(const struct my_binlog *binlog, struct error *reterr)
{
    return my_binlog_not_understood(binlog, "it has another form than is known", reterr);
}

/* ---- rows ---- */

static bool
is_of_outbox(const struct my_binlog *binlog, struct span body)
{
    const struct my_table_map *const map = &binlog->table.map;
    uint64_t table_id;
    return map->known && my_rows_table(body, &table_id) && table_id == map->id;
}

static bool
take_rows(struct my_binlog *binlog, const struct my_event *event, enum my_rows_version version,
          bool compressed, struct error *reterr)
{
    struct span rows;
    if (!my_group_require(binlog, reterr)) {
        return false;
    }
    if (!is_of_outbox(binlog, event->body)) {
        return true;
    }
    if (!my_rows_open(&binlog->rows, &binlog->table.map, version, event->body, &rows, reterr) ||
        (compressed && !my_inflate_record(binlog->inflate, rows, &rows, reterr))) {
        return false;
    }
    my_rows_begin(&binlog->rows, rows);
    return true;
}

static bool
next_row(struct my_binlog *binlog, struct my_binlog_item *ret_item, struct error *reterr)
{
    ret_item->type = MY_BINLOG_ROW;
    ret_item->is_prepared = binlog->is_xa;
    ret_item->position = binlog->group_position;
    if (!my_rows_next(&binlog->rows, &binlog->hash, binlog->message_bytes_max, &ret_item->row,
                      reterr)) {
        return false;
    }
    ret_item->row.position = binlog->group_position;
    return true;
}

/* ---- transactions that are compressed ---- */

enum { FIELD_END, FIELD_SIZE, FIELD_COMPRESSION, FIELD_SIZE_BEFORE };
enum { COMPRESSION_ZSTD = 0, COMPRESSION_NONE = 255 };

struct payload {
    uint64_t size;
    uint64_t compression;
    uint64_t size_before;
};

/* The fields, each with a kind, a length and a number; then the compressed bytes. */
static bool
read_payload(struct reader *reader, struct payload *ret_payload)
{
    *ret_payload = (struct payload){.compression = COMPRESSION_NONE};
    while (!reader->bad) {
        const uint64_t kind = my_table_packed(reader);
        if (kind == FIELD_END) {
            break;
        }
        struct reader field = reader_of(read_bytes(reader, my_table_packed(reader)));
        const uint64_t value = my_table_packed(&field);
        switch (kind) {
        case FIELD_SIZE:
            ret_payload->size = value;
            break;
        case FIELD_COMPRESSION:
            ret_payload->compression = value;
            break;
        case FIELD_SIZE_BEFORE:
            ret_payload->size_before = value;
            break;
        }
    }
    return !reader->bad && ret_payload->size == (uint64_t)(reader->end - reader->at);
}

static bool
enter_payload(struct my_binlog *binlog, const struct my_event *event, struct error *reterr)
{
    struct reader reader = reader_of(event->body);
    struct payload payload;
    if (binlog->group != MY_GROUP_BEGUN || !read_payload(&reader, &payload)) {
        return my_binlog_no_such_form(binlog, reterr);
    }
    const struct span compressed = {reader.at, payload.size};
    if (payload.compression == COMPRESSION_ZSTD) {
        my_inflate_open(binlog->inflate, MY_COMPRESSION_ZSTD, compressed, payload.size_before);
    } else if (payload.compression == COMPRESSION_NONE) {
        my_inflate_open(binlog->inflate, MY_COMPRESSION_NONE, compressed, payload.size);
    } else {
        return my_binlog_not_understood(binlog, "it is compressed in a way that is not known",
                                        reterr);
    }
    binlog->inside = true;
    return true;
}

/* ---- events ---- */

static bool
take_event(struct my_binlog *binlog, const struct my_event *event, struct error *reterr)
{
    uint64_t start;
    if (!my_binlog_place(binlog, event, &start, reterr)) {
        return false;
    }
    switch ((enum my_event_type)event->type) {
    case MY_EVENT_QUERY:
    case MY_EVENT_QUERY_COMPRESSED:
        return my_group_query(binlog, event, start, reterr);
    case MY_EVENT_GTID:
    case MY_EVENT_ANONYMOUS_GTID:
    case MY_EVENT_GTID_TAGGED:
        return my_group_begin(binlog, start, MY_GROUP_BEGUN, reterr);
    case MY_EVENT_MARIADB_GTID:
        return my_group_begin_mariadb(binlog, event, start, reterr);
    case MY_EVENT_XID:
        return my_group_close(binlog, reterr);
    case MY_EVENT_XA_PREPARE:
        return my_group_prepare(binlog, event, reterr);
    case MY_EVENT_TRANSACTION_PAYLOAD:
        return enter_payload(binlog, event, reterr);
    case MY_EVENT_TABLE_MAP:
        return my_group_require(binlog, reterr) &&
               my_table_describe(&binlog->table, event->body, reterr);
    case MY_EVENT_WRITE_ROWS_V1:
        return take_rows(binlog, event, MY_ROWS_V1, false, reterr);
    case MY_EVENT_WRITE_ROWS:
        return take_rows(binlog, event, MY_ROWS_V2, false, reterr);
    case MY_EVENT_WRITE_ROWS_COMPRESSED_V1:
        return take_rows(binlog, event, MY_ROWS_V1, true, reterr);
    case MY_EVENT_WRITE_ROWS_COMPRESSED:
        return take_rows(binlog, event, MY_ROWS_V2, true, reterr);
    case MY_EVENT_ROTATE:
        return my_binlog_rotate(binlog, event, reterr);
    case MY_EVENT_FORMAT_DESCRIPTION:
        return my_binlog_format(binlog, event, reterr);
    case MY_EVENT_INCIDENT:
        return error_set(reterr, ERROR_TRANSIENT,
                         "the server says that its log lacks something (an incident)");
    /* Updates and deletes are ignored: the deletes in the outbox are the relay's own, and for updates the relay asks
     * the table. The others tell nothing about rows, or come before a statement. */
    case MY_EVENT_UPDATE_ROWS_V1:
    case MY_EVENT_DELETE_ROWS_V1:
    case MY_EVENT_UPDATE_ROWS:
    case MY_EVENT_DELETE_ROWS:
    case MY_EVENT_PARTIAL_UPDATE_ROWS:
    case MY_EVENT_UPDATE_ROWS_COMPRESSED_V1:
    case MY_EVENT_DELETE_ROWS_COMPRESSED_V1:
    case MY_EVENT_UPDATE_ROWS_COMPRESSED:
    case MY_EVENT_DELETE_ROWS_COMPRESSED:
    case MY_EVENT_STOP:
    case MY_EVENT_INTVAR:
    case MY_EVENT_RAND:
    case MY_EVENT_USER_VAR:
    case MY_EVENT_HEARTBEAT:
    case MY_EVENT_HEARTBEAT_V2:
    case MY_EVENT_IGNORABLE:
    case MY_EVENT_ROWS_QUERY:
    case MY_EVENT_PREVIOUS_GTIDS:
    case MY_EVENT_TRANSACTION_CONTEXT:
    case MY_EVENT_VIEW_CHANGE:
    case MY_EVENT_ANNOTATE_ROWS:
    case MY_EVENT_BINLOG_CHECKPOINT:
    case MY_EVENT_GTID_LIST:
    case MY_EVENT_START_ENCRYPTION:
        return true;
    }
    return (event->flags & MY_EVENT_FLAG_IGNORABLE) != 0 ||
           my_binlog_not_understood(binlog, "no such type is known", reterr);
}

/* Between two groups, everything up to here has been given. */
static void
advance(struct my_binlog *binlog)
{
    if (binlog->group == MY_GROUP_NONE) {
        binlog->position = my_position_at(binlog->position, binlog->offset);
    }
}

static void
read_header(struct reader *reader, struct my_event *ret_event)
{
    (void)read_little(reader, 4); /* time */
    ret_event->type = read_u8(reader);
    (void)read_little(reader, 4); /* server */
    ret_event->size = (uint32_t)read_little(reader, 4);
    ret_event->end = (uint32_t)read_little(reader, 4);
    ret_event->flags = (uint16_t)read_little(reader, 2);
}

static bool
fits_checksum(struct span bytes)
{
    if (bytes.size < MY_BINLOG_HEADER_BYTES + MY_CHECKSUM_BYTES) {
        return false;
    }
    const size_t size = bytes.size - MY_CHECKSUM_BYTES;
    struct reader end =
        reader_of((struct span){(const uint8_t *)bytes.data + size, MY_CHECKSUM_BYTES});
    return crc32_z(0, bytes.data, size) == read_little(&end, MY_CHECKSUM_BYTES);
}

/* *ret_size: size of the checksum at the end. A format description announces whether events have checksums, so it has
 * one itself in any case, and checking it would be useless. A ROTATE that the server makes up for us has a checksum or
 * not, like the events of the file before. */
static bool
check_checksum(const struct my_binlog *binlog, const struct my_event *event, struct span bytes,
               size_t *ret_size, struct error *reterr)
{
    const bool made_up =
        event->type == MY_EVENT_ROTATE && (event->flags & MY_EVENT_FLAG_ARTIFICIAL) != 0;
    *ret_size = 0;
    if (event->type == MY_EVENT_FORMAT_DESCRIPTION || (!binlog->checksums && !made_up)) {
        return true;
    }
    if (fits_checksum(bytes)) {
        *ret_size = MY_CHECKSUM_BYTES;
        return true;
    }
    return made_up || error_set(reterr, ERROR_CONNECTION,
                                "an event of the server's log is damaged: its checksum is wrong");
}

bool
my_binlog_feed(struct my_binlog *binlog, struct span bytes, struct error *reterr)
{
    struct reader reader = reader_of(bytes);
    struct my_event event;
    size_t checksum;
    read_header(&reader, &event);
    binlog->event_type = event.type;
    if (reader.bad || event.size != bytes.size) {
        return my_binlog_no_such_form(binlog, reterr);
    }
    if (!check_checksum(binlog, &event, bytes, &checksum, reterr)) {
        return false;
    }
    event.body = read_bytes(&reader, (size_t)(reader.end - reader.at) - checksum);
    if (!take_event(binlog, &event, reterr)) {
        return false;
    }
    advance(binlog);
    return true;
}

/* ---- what is inside of a compressed transaction ---- */

enum inner { INNER_UNKNOWN, INNER_SKIPPED, INNER_ROWS, INNER_READ };

static enum inner
inner_of(const struct my_event *event)
{
    switch ((int)event->type) {
    case MY_EVENT_QUERY:
    case MY_EVENT_XID:
    case MY_EVENT_TABLE_MAP:
    case MY_EVENT_XA_PREPARE:
        return INNER_READ;
    case MY_EVENT_WRITE_ROWS_V1:
    case MY_EVENT_WRITE_ROWS:
        return INNER_ROWS;
    case MY_EVENT_UPDATE_ROWS_V1:
    case MY_EVENT_DELETE_ROWS_V1:
    case MY_EVENT_UPDATE_ROWS:
    case MY_EVENT_DELETE_ROWS:
    case MY_EVENT_PARTIAL_UPDATE_ROWS:
    case MY_EVENT_INTVAR:
    case MY_EVENT_RAND:
    case MY_EVENT_USER_VAR:
    case MY_EVENT_IGNORABLE:
    case MY_EVENT_ROWS_QUERY:
    case MY_EVENT_TRANSACTION_CONTEXT:
    case MY_EVENT_VIEW_CHANGE:
        return INNER_SKIPPED;
    default:
        return (event->flags & MY_EVENT_FLAG_IGNORABLE) != 0 ? INNER_SKIPPED : INNER_UNKNOWN;
    }
}

static struct span
body_of(struct span bytes)
{
    return (struct span){(const uint8_t *)bytes.data + MY_BINLOG_HEADER_BYTES,
                         bytes.size - MY_BINLOG_HEADER_BYTES};
}

/* Rows of other tables are skipped without being kept, however large they are. */
static bool
read_inner(struct my_binlog *binlog, struct my_event *event, enum inner inner, struct error *reterr)
{
    struct span bytes = {NULL, MY_BINLOG_HEADER_BYTES};
    size_t left = event->size - MY_BINLOG_HEADER_BYTES;
    if (inner == INNER_ROWS && left >= TABLE_ID_BYTES) {
        if (!my_inflate_read(binlog->inflate, bytes.size, TABLE_ID_BYTES, &bytes, reterr)) {
            return false;
        }
        left -= TABLE_ID_BYTES;
        event->body = body_of(bytes);
    }
    if (inner == INNER_SKIPPED || (inner == INNER_ROWS && !is_of_outbox(binlog, event->body))) {
        return my_inflate_skip(binlog->inflate, left, reterr);
    }
    if (!my_inflate_read(binlog->inflate, bytes.size, left, &bytes, reterr)) {
        return false;
    }
    event->body = body_of(bytes);
    return true;
}

static bool
take_inner(struct my_binlog *binlog, struct error *reterr)
{
    struct span header;
    struct my_event event = {.body = {NULL, 0}};
    if (!my_inflate_read(binlog->inflate, 0, MY_BINLOG_HEADER_BYTES, &header, reterr)) {
        return false;
    }
    struct reader reader = reader_of(header);
    read_header(&reader, &event);
    binlog->event_type = event.type;
    const enum inner inner = inner_of(&event);
    if (event.size < MY_BINLOG_HEADER_BYTES || inner == INNER_UNKNOWN) {
        return my_binlog_not_understood(
            binlog, "nothing of the kind is known in a transaction that is compressed", reterr);
    }
    return read_inner(binlog, &event, inner, reterr) && take_event(binlog, &event, reterr);
}

static bool
leave_payload(struct my_binlog *binlog, struct error *reterr)
{
    if (binlog->group != MY_GROUP_NONE) {
        return my_binlog_not_understood(binlog, "a transaction that is compressed has no end",
                                        reterr);
    }
    binlog->inside = false;
    advance(binlog);
    return true;
}

/* ---- what comes of them ---- */

bool
my_binlog_next(struct my_binlog *binlog, struct my_binlog_item *ret_item, struct error *reterr)
{
    for (;;) {
        if (!my_rows_at_end(&binlog->rows)) {
            return next_row(binlog, ret_item, reterr);
        }
        if (binlog->item.type != MY_BINLOG_NOTHING || !binlog->inside) {
            *ret_item = binlog->item;
            binlog->item.type = MY_BINLOG_NOTHING;
            return true;
        }
        const bool good = my_inflate_left(binlog->inflate) > 0 ? take_inner(binlog, reterr)
                                                               : leave_payload(binlog, reterr);
        if (!good) {
            return false;
        }
    }
}
