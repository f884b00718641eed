#include "relay/postgres/pgoutput.h"

#include <string.h>

#include "base/reader.h"
#include "relay/postgres/hash.h"

/* 2000-01-01, the zero of the server's times, in microseconds since 1970. */
#define POSTGRES_EPOCH_US INT64_C(946684800000000)
#define JSONB_VERSION 1
#define TEXT_OID 25
#define VARCHAR_OID 1043

enum column {
    COLUMN_ID,
    COLUMN_MESSAGE_ID,
    COLUMN_CREATED_AT,
    COLUMN_EXCHANGE,
    COLUMN_ROUTING_KEY,
    COLUMN_KEY,
    COLUMN_TYPE,
    COLUMN_CONTENT_TYPE,
    COLUMN_HEADERS,
    COLUMN_PAYLOAD,
    COLUMN_DELIVER_AFTER,
    COLUMNS,
    COLUMN_OTHER = COLUMNS, /* a column that somebody added */
};

static const struct {
    const char *name;
    const char *type_name;
    uint32_t type;
} columns[COLUMNS] = {
    [COLUMN_ID] = {"id", "bigint", 20},
    [COLUMN_MESSAGE_ID] = {"message_id", "uuid", 2950},
    [COLUMN_CREATED_AT] = {"created_at", "timestamptz", 1184},
    [COLUMN_EXCHANGE] = {"exchange", "text", TEXT_OID},
    [COLUMN_ROUTING_KEY] = {"routing_key", "text", TEXT_OID},
    [COLUMN_KEY] = {"key", "text", TEXT_OID},
    [COLUMN_TYPE] = {"type", "text", TEXT_OID},
    [COLUMN_CONTENT_TYPE] = {"content_type", "text", TEXT_OID},
    [COLUMN_HEADERS] = {"headers", "jsonb", 3802},
    [COLUMN_PAYLOAD] = {"payload", "bytea", 17},
    [COLUMN_DELIVER_AFTER] = {"deliver_after", "timestamptz", 1184},
};

/* How a value is sent in a tuple. */
enum kind {
    KIND_NULL = 'n',
    KIND_UNCHANGED = 'u', /* in an update: stored out of line and unchanged */
    KIND_TEXT = 't',
    KIND_BINARY = 'b',
};

/* The message that is being decoded. */
struct message {
    struct reader reader;
    uint8_t type;
    struct error *reterr;
};

void
pgoutput_init(struct pgoutput *pgoutput, uint32_t outbox_oid, uint64_t message_bytes_max)
{
    *pgoutput = (struct pgoutput){
        .outbox_oid = outbox_oid,
        .message_bytes_max = message_bytes_max,
    };
}

/* ---- parts of messages ---- */

static bool
not_understood(const struct message *message, const char *why)
{
    return error_set(message->reterr, ERROR_CONNECTION,
                     "a message of type 0x%02x of the server's log is not understood: %s",
                     message->type, why);
}

/* To be called when everything is read, and before any of it is used. */
static bool
is_whole(const struct message *message)
{
    const struct reader *reader = &message->reader;
    return !reader->bad && reader->at == reader->end
               ? true
               : not_understood(message, "it does not have the form of protocol version 1");
}

static struct span
read_string(struct reader *reader)
{
    const size_t left = (size_t)(reader->end - reader->at);
    const uint8_t *zero = left > 0 ? memchr(reader->at, 0, left) : NULL;
    if (zero == NULL) {
        reader->bad = true;
        return (struct span){0};
    }
    const struct span text = read_bytes(reader, (size_t)(zero - reader->at));
    (void)read_u8(reader); /* the zero */
    return text;
}

/* For NULL the span has no data; for an empty value it has. */
static inline struct span
read_value(struct reader *reader, uint8_t *ret_kind)
{
    *ret_kind = read_u8(reader);
    switch (*ret_kind) {
    case KIND_TEXT:
    case KIND_BINARY:
        return read_bytes(reader, read_u32(reader));
    case KIND_NULL:
    case KIND_UNCHANGED:
        return (struct span){0};
    default:
        reader->bad = true;
        return (struct span){0};
    }
}

/* Skips a tuple, after its marker. */
static void
skip_tuple(struct reader *reader)
{
    for (uint16_t left = read_u16(reader); left > 0 && !reader->bad; left--) {
        uint8_t kind;
        (void)read_value(reader, &kind);
    }
}

static struct span
read_column(struct reader *reader, uint32_t *ret_type)
{
    (void)read_u8(reader); /* whether it belongs to the key */
    const struct span name = read_string(reader);
    *ret_type = read_u32(reader);
    (void)read_u32(reader); /* the type's modifier */
    return name;
}

/* Microseconds since 1970; a time too late for that, or infinity, is INT64_MAX. */
static int64_t
time_us(uint64_t value)
{
    const int64_t us = (int64_t)value;
    if (us == INT64_MIN) {
        return INT64_MIN;
    }
    return us > INT64_MAX - POSTGRES_EPOCH_US ? INT64_MAX : us + POSTGRES_EPOCH_US;
}

/* ---- the outbox as the server describes it ---- */

static enum column
column_of(struct span name)
{
    enum column column = COLUMN_ID;
    while (column < COLUMNS && (strlen(columns[column].name) != name.size ||
                                memcmp(columns[column].name, name.data, name.size) != 0)) {
        column++;
    }
    return column;
}

static bool
has_type(enum column column, uint32_t type)
{
    return type == columns[column].type ||
           (type == VARCHAR_OID && columns[column].type == TEXT_OID);
}

static bool
wrong_type(enum column column, struct error *reterr)
{
    return error_set(reterr, ERROR_CONFIG,
                     "column \"%s\" of table outbox has another type than `outbox-relay init` "
                     "gives it: make it %s again",
                     columns[column].name, columns[column].type_name);
}

static bool
check_complete(unsigned found, struct error *reterr)
{
    for (enum column column = COLUMN_ID; column < COLUMNS; column++) {
        if ((found & 1U << column) == 0) {
            return error_set(reterr, ERROR_CONFIG,
                             "column \"%s\" of table outbox is not in the log: add it if the "
                             "table has none, and let the publication have no list of columns",
                             columns[column].name);
        }
    }
    return true;
}

static bool
read_columns(struct pgoutput *pgoutput, struct message *message)
{
    unsigned found = 0;
    for (uint16_t i = 0; i < pgoutput->column_count && !message->reader.bad; i++) {
        uint32_t type;
        const struct span name = read_column(&message->reader, &type);
        const enum column column = message->reader.bad ? COLUMN_OTHER : column_of(name);
        if (column != COLUMN_OTHER && !has_type(column, type)) {
            return wrong_type(column, message->reterr);
        }
        pgoutput->columns[i] = (uint8_t)column;
        found |= 1U << column;
    }
    return is_whole(message) && check_complete(found, message->reterr);
}

static bool
describe(struct pgoutput *pgoutput, struct message *message, uint16_t column_count)
{
    if (column_count > PGOUTPUT_COLUMNS_MAX) {
        return not_understood(message, "no table has so many columns");
    }
    pgoutput->column_count = column_count;
    pgoutput->described = read_columns(pgoutput, message);
    return pgoutput->described;
}

static bool
decode_relation(struct pgoutput *pgoutput, struct message *message)
{
    struct reader *reader = &message->reader;
    const uint32_t oid = read_u32(reader);
    (void)read_string(reader); /* schema */
    (void)read_string(reader); /* name */
    (void)read_u8(reader);     /* replica identity */
    const uint16_t column_count = read_u16(reader);
    if (oid == pgoutput->outbox_oid) {
        return describe(pgoutput, message, column_count);
    }
    for (uint16_t left = column_count; left > 0 && !reader->bad; left--) {
        uint32_t type;
        (void)read_column(reader, &type);
    }
    return is_whole(message);
}

/* ---- rows ---- */

static bool
read_values(const struct pgoutput *pgoutput, struct message *message, struct span values[COLUMNS])
{
    struct reader *reader = &message->reader;
    if (read_u8(reader) != 'N' || read_u16(reader) != pgoutput->column_count) {
        return not_understood(message, "it does not fit the description of table outbox");
    }
    bool binary = true;
    for (uint16_t i = 0; i < pgoutput->column_count && !reader->bad; i++) {
        uint8_t kind;
        const struct span value = read_value(reader, &kind);
        if (pgoutput->columns[i] != COLUMN_OTHER) {
            binary &= kind == KIND_BINARY || kind == KIND_NULL;
            values[pgoutput->columns[i]] = value;
        }
    }
    /* With the option binary only types without a send function are sent as text, and all ours have one: then this is
     * not the stream that was asked for. And an insert has no unchanged values. */
    return is_whole(message) && (binary || not_understood(message, "it is not in binary"));
}

static uint64_t
u64_of(struct span value)
{
    uint64_t big;
    memcpy(&big, value.data, sizeof(big));
    return be64toh(big);
}

/* Values that are NULL or of another size only if the table was altered. */
static bool
check_values(const struct span values[COLUMNS], struct error *reterr)
{
    const struct span headers = values[COLUMN_HEADERS];
    const struct span deliver_after = values[COLUMN_DELIVER_AFTER];
    if (values[COLUMN_ID].size == sizeof(int64_t) && values[COLUMN_MESSAGE_ID].size == UUID_BYTES &&
        values[COLUMN_CREATED_AT].size == sizeof(int64_t) && values[COLUMN_PAYLOAD].data != NULL &&
        (deliver_after.data == NULL || deliver_after.size == sizeof(int64_t)) &&
        (headers.data == NULL ||
         (headers.size > 0 && *(const uint8_t *)headers.data == JSONB_VERSION))) {
        return true;
    }
    return error_set(reterr, ERROR_CONFIG,
                     "the outbox has a row with a NULL or in a form that is not known");
}

/* The same rule as in the statements that read the table. */
static bool
is_scheduled(struct span deliver_after, struct span created_at)
{
    return deliver_after.data != NULL &&
           (int64_t)u64_of(deliver_after) > (int64_t)u64_of(created_at);
}

static void
set_row(struct row *row, const struct pgoutput *pgoutput, const struct span values[COLUMNS])
{
    const struct span key = values[COLUMN_KEY];
    *row = (struct row){
        .id = (int64_t)u64_of(values[COLUMN_ID]),
        .created_at_us = time_us(u64_of(values[COLUMN_CREATED_AT])),
        .key_hash = key.data != NULL ? pg_hash_text(key.data, key.size) : 0,
        .has_key = key.data != NULL,
        .ordered = key.data != NULL,
        .exchange_is_null = values[COLUMN_EXCHANGE].data == NULL,
        .scheduled = is_scheduled(values[COLUMN_DELIVER_AFTER], values[COLUMN_CREATED_AT]),
        .position = pgoutput->position,
        .exchange = values[COLUMN_EXCHANGE],
        .routing_key = values[COLUMN_ROUTING_KEY],
        .key = key,
        .type = values[COLUMN_TYPE],
        .content_type = values[COLUMN_CONTENT_TYPE],
    };
    memcpy(row->message_id, values[COLUMN_MESSAGE_ID].data, UUID_BYTES);
}

static void
set_content(struct row *row, struct span headers, struct span payload, uint64_t bytes_max)
{
    if (headers.data != NULL) {
        headers = (struct span){(const uint8_t *)headers.data + 1, headers.size - 1};
    }
    row->withheld = headers.size + payload.size > bytes_max
                        ? "the message is larger than can ever be sent"
                        : NULL;
    if (row->withheld == NULL && !row->scheduled) {
        row->headers = headers;
        row->payload = payload;
    }
}

static bool
decode_row(const struct pgoutput *pgoutput, struct message *message,
           struct pgoutput_event *ret_event)
{
    if (!pgoutput->in_transaction || !pgoutput->described) {
        return not_understood(message, "no transaction or no description came before it");
    }
    struct span values[COLUMNS] = {0};
    if (!read_values(pgoutput, message, values) || !check_values(values, message->reterr)) {
        return false;
    }
    ret_event->type = PGOUTPUT_ROW;
    set_row(&ret_event->row, pgoutput, values);
    set_content(&ret_event->row, values[COLUMN_HEADERS], values[COLUMN_PAYLOAD],
                pgoutput->message_bytes_max);
    return true;
}

/* ---- what is of no interest: read all the same, to know that it is what it seems ---- */

static bool
ignore(const struct message *message, struct pgoutput_event *ret_event)
{
    if (!is_whole(message)) {
        return false;
    }
    ret_event->type = PGOUTPUT_NOTHING;
    return true;
}

static void
skip_insert(struct reader *reader)
{
    reader->bad |= read_u8(reader) != 'N';
    skip_tuple(reader);
}

static void
skip_update(struct reader *reader)
{
    (void)read_u32(reader); /* table */
    uint8_t marker = read_u8(reader);
    if (marker == 'K' || marker == 'O') {
        skip_tuple(reader);
        marker = read_u8(reader);
    }
    reader->bad |= marker != 'N';
    skip_tuple(reader);
}

static void
skip_delete(struct reader *reader)
{
    (void)read_u32(reader); /* table */
    const uint8_t marker = read_u8(reader);
    reader->bad |= marker != 'K' && marker != 'O';
    skip_tuple(reader);
}

static void
skip_truncate(struct reader *reader)
{
    const uint32_t tables = read_u32(reader);
    (void)read_u8(reader); /* options */
    for (uint32_t left = tables; left > 0 && !reader->bad; left--) {
        (void)read_u32(reader);
    }
}

static void
skip_origin(struct reader *reader)
{
    (void)read_u64(reader); /* position */
    (void)read_string(reader);
}

static void
skip_type(struct reader *reader)
{
    (void)read_u32(reader);
    (void)read_string(reader); /* schema */
    (void)read_string(reader); /* name */
}

/* ---- messages ---- */

static bool
decode_begin(struct pgoutput *pgoutput, struct message *message, struct pgoutput_event *ret_event)
{
    const uint64_t position = read_u64(&message->reader);
    const int64_t committed_at_us = time_us(read_u64(&message->reader));
    (void)read_u32(&message->reader); /* transaction id */
    if (!is_whole(message)) {
        return false;
    }
    if (pgoutput->in_transaction) {
        return not_understood(message, "the transaction before it has not ended");
    }
    pgoutput->in_transaction = true;
    pgoutput->position = position;
    ret_event->type = PGOUTPUT_BEGIN;
    ret_event->position = position;
    ret_event->committed_at_us = committed_at_us;
    return true;
}

static bool
decode_commit(struct pgoutput *pgoutput, struct message *message, struct pgoutput_event *ret_event)
{
    (void)read_u8(&message->reader); /* flags, none defined */
    const uint64_t position = read_u64(&message->reader);
    const uint64_t end = read_u64(&message->reader);
    const int64_t committed_at_us = time_us(read_u64(&message->reader));
    if (!is_whole(message)) {
        return false;
    }
    if (!pgoutput->in_transaction || position != pgoutput->position || end <= position) {
        return not_understood(message, "it does not end the transaction that was begun");
    }
    pgoutput->in_transaction = false;
    ret_event->type = PGOUTPUT_COMMIT;
    ret_event->position = end;
    ret_event->committed_at_us = committed_at_us;
    return true;
}

static bool
decode_insert(const struct pgoutput *pgoutput, struct message *message,
              struct pgoutput_event *ret_event)
{
    if (read_u32(&message->reader) == pgoutput->outbox_oid) {
        return decode_row(pgoutput, message, ret_event);
    }
    skip_insert(&message->reader);
    return ignore(message, ret_event);
}

static bool
decode_message(const struct pgoutput *pgoutput, struct message *message,
               struct pgoutput_event *ret_event)
{
    struct reader *reader = &message->reader;
    const uint8_t flags = read_u8(reader);
    const uint64_t position = read_u64(reader);
    const struct span prefix = read_string(reader);
    const struct span content = read_bytes(reader, read_u32(reader));
    if (!is_whole(message)) {
        return false;
    }
    const bool transactional = flags == 1;
    if (flags > 1 || (transactional && !pgoutput->in_transaction)) {
        return not_understood(message, "it is neither of a transaction nor without one");
    }
    ret_event->type = PGOUTPUT_MESSAGE;
    ret_event->position = position;
    ret_event->transactional = transactional;
    ret_event->prefix = prefix;
    ret_event->content = content;
    return true;
}

bool
pgoutput_decode(struct pgoutput *pgoutput, const void *bytes, size_t size,
                struct pgoutput_event *ret_event, struct error *reterr)
{
    struct message message = {
        .reader = reader_of((struct span){bytes, size}),
        .reterr = reterr,
    };
    struct reader *reader = &message.reader;
    message.type = read_u8(reader);
    switch (message.type) {
    case 'B':
        return decode_begin(pgoutput, &message, ret_event);
    case 'C':
        return decode_commit(pgoutput, &message, ret_event);
    case 'I':
        return decode_insert(pgoutput, &message, ret_event);
    case 'M':
        return decode_message(pgoutput, &message, ret_event);
    case 'R':
        return decode_relation(pgoutput, &message) && ignore(&message, ret_event);
    /* A publication that an administrator made may have more than inserts. Changes of a row after its insert do not
     * matter even in the outbox: the relay itself deletes rows, and for everything else the table is asked. */
    case 'U':
        skip_update(reader);
        return ignore(&message, ret_event);
    case 'D':
        skip_delete(reader);
        return ignore(&message, ret_event);
    case 'T':
        skip_truncate(reader);
        return ignore(&message, ret_event);
    case 'O':
        skip_origin(reader);
        return ignore(&message, ret_event);
    case 'Y':
        skip_type(reader);
        return ignore(&message, ret_event);
    default:
        return not_understood(&message, "no such type is known");
    }
}
