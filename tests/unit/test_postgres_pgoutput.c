#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/postgres/hash.h"
#include "relay/postgres/pgoutput.h"
#include "tests/fuzz/messages.h"

#define CORPUS SOURCE_ROOT "/tests/fuzz/corpus/pgoutput/"
#define FILE_BYTES_MAX 8192
#define MESSAGE_BYTES_MAX 1000
/* 2024-05-06 07:08:09.123456, the time in tests/fuzz/capture. */
#define CREATED_AT_US INT64_C(1714979289123456)

/* Streams of a real server, captured by tests/fuzz/capture. */
static const char *const captured[] = {
    "altered", "defaults",        "everything", "large", "messages",    "origin",
    "row",     "payload-as-text", "text",       "times", "transaction", "without-payload",
};

static uint8_t file[FILE_BYTES_MAX];
static struct reader stream;
static struct pgoutput pgoutput;
static struct pgoutput_event event;
static struct error error;
static void *message; /* the last decoded message, in memory of its own size */

static void
teardown(void)
{
    free(message);
    message = NULL;
}

TestSuite(postgres_pgoutput, .fini = teardown);

static void
open_stream(const char *name)
{
    char path[512];
    cr_assert_lt(snprintf(path, sizeof(path), "%s%s", CORPUS, name), (int)sizeof(path));
    FILE *const from = fopen(path, "rb");
    cr_assert_not_null(from, "%s", path);
    const size_t size = fread(file, 1, sizeof(file), from);
    cr_assert(feof(from), "%s is too large", path);
    cr_assert_eq(fclose(from), 0);
    uint32_t outbox_oid;
    stream = messages_begin(file, size, &outbox_oid);
    pgoutput_init(&pgoutput, outbox_oid, MESSAGE_BYTES_MAX);
}

static struct span
take(void)
{
    struct span next;
    cr_assert(messages_next(&stream, &next), "the stream is over");
    return next;
}

/* The bytes stay valid until the next message is decoded. */
static bool
decode(struct span bytes)
{
    free(message);
    message = malloc(bytes.size > 0 ? bytes.size : 1);
    cr_assert_not_null(message);
    memcpy(message, bytes.data, bytes.size);
    return pgoutput_decode(&pgoutput, message, bytes.size, &event, &error);
}

static void
expect(enum pgoutput_type type)
{
    error.text[0] = '\0';
    cr_assert(decode(take()), "%s", error.text);
    cr_assert_eq(event.type, type, "%d instead of %d", event.type, type);
}

static void
expect_refused(struct span bytes, enum error_class class, const char *words)
{
    cr_assert_not(decode(bytes), "accepted");
    cr_assert_eq(error.class, class, "%s", error.text);
    cr_assert_not_null(strstr(error.text, words), "%s", error.text);
}

static void
expect_end(void)
{
    struct span rest;
    cr_assert_not(messages_next(&stream, &rest));
}

static void
assert_text(struct span span, const char *text)
{
    cr_assert_eq(span.size, strlen(text), "%zu bytes instead of %s", span.size, text);
    cr_assert(span.size == 0 || memcmp(span.data, text, span.size) == 0, "%.*s instead of %s",
              (int)span.size, (const char *)span.data, text);
}

/* The next message of this type; those before it are decoded. */
static struct span
skip_to(char type)
{
    struct span next = take();
    while (*(const char *)next.data != type) {
        cr_assert(decode(next), "%s", error.text);
        next = take();
    }
    return next;
}

Test(postgres_pgoutput, a_row_with_all_it_can_have)
{
    open_stream("row");
    expect(PGOUTPUT_BEGIN);
    const uint64_t position = event.position;
    const int64_t committed_at_us = event.committed_at_us;
    cr_assert_gt(committed_at_us, CREATED_AT_US);
    expect(PGOUTPUT_NOTHING); /* the description */
    expect(PGOUTPUT_ROW);
    const struct row *row = &event.row;
    static const uint8_t message_id[UUID_BYTES] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                   8, 9, 10, 11, 12, 13, 14, 15};
    cr_assert_eq(row->id, 42);
    cr_assert_eq(memcmp(row->message_id, message_id, UUID_BYTES), 0);
    cr_assert_eq(row->created_at_us, CREATED_AT_US);
    cr_assert_eq(row->position, position);
    cr_assert(row->has_key);
    cr_assert(row->ordered);
    cr_assert_eq(row->key_hash, pg_hash_text("order-4711", 10));
    cr_assert_not(row->exchange_is_null);
    cr_assert_not(row->withheld);
    cr_assert_not(row->scheduled);
    assert_text(row->exchange, "shop");
    assert_text(row->routing_key, "order.placed");
    assert_text(row->key, "order-4711");
    assert_text(row->type, "placed");
    assert_text(row->content_type, "application/json");
    assert_text(row->headers, "{\"tenant\": \"blue\"}");
    assert_text(row->payload, "{\"total\": 10}");
    expect(PGOUTPUT_COMMIT);
    cr_assert_gt(event.position, position, "behind the commit record");
    cr_assert_eq(event.committed_at_us, committed_at_us);
    expect_end();
}

Test(postgres_pgoutput, a_row_with_nothing_but_a_payload)
{
    open_stream("defaults");
    expect(PGOUTPUT_BEGIN);
    expect(PGOUTPUT_NOTHING);
    expect(PGOUTPUT_ROW);
    const struct row *row = &event.row;
    cr_assert_eq(row->id, 1);
    cr_assert_not(row->has_key);
    cr_assert_not(row->ordered);
    cr_assert_eq(row->key_hash, 0);
    cr_assert(row->exchange_is_null);
    assert_text(row->routing_key, "");
    assert_text(row->headers, "");
    assert_text(row->payload, "");
    expect(PGOUTPUT_COMMIT);
    expect_end();
}

Test(postgres_pgoutput, rows_have_the_position_of_their_transaction)
{
    open_stream("transaction");
    expect(PGOUTPUT_BEGIN);
    const uint64_t position = event.position;
    expect(PGOUTPUT_NOTHING);
    expect(PGOUTPUT_ROW);
    cr_assert_eq(event.row.id, 101);
    expect(PGOUTPUT_ROW); /* rows that were rolled back to the savepoint are missing */
    cr_assert_eq(event.row.position, position);
    cr_assert_not(event.row.exchange_is_null, "an empty exchange is one");
    cr_assert(event.row.has_key, "an empty key is one");
    cr_assert_eq(event.row.key_hash, pg_hash_text("", 0));
    expect(PGOUTPUT_ROW);
    cr_assert(event.row.exchange_is_null);
    cr_assert_eq(event.row.payload.size, 2);
    cr_assert_eq(memcmp(event.row.payload.data, "\0\377", 2), 0);
    cr_assert_eq(event.row.key_hash, INT64_C(2835016810653770112), "as the server has it");
    expect(PGOUTPUT_COMMIT);
    const uint64_t end = event.position;
    expect(PGOUTPUT_BEGIN);
    cr_assert_geq(event.position, end);
    expect(PGOUTPUT_ROW); /* the description is still valid */
    cr_assert_geq(event.row.position, end);
    expect(PGOUTPUT_COMMIT);
    expect_end();
}

Test(postgres_pgoutput, scheduled_rows_are_empty)
{
    open_stream("times");
    expect(PGOUTPUT_BEGIN);
    expect(PGOUTPUT_NOTHING);
    expect(PGOUTPUT_ROW);
    cr_assert(event.row.scheduled, "infinity");
    cr_assert_eq(event.row.payload.size, 0);
    cr_assert_eq(event.row.headers.size, 0);
    assert_text(event.row.key, "a");
    for (int i = 0; i < 2; i++) {
        expect(PGOUTPUT_ROW);
        cr_assert_not(event.row.scheduled, "-infinity, 2001: it was due when it was written");
        assert_text(event.row.headers, "{}");
        assert_text(event.row.payload, "past");
    }
    expect(PGOUTPUT_ROW);
    cr_assert(event.row.scheduled, "2100");
    cr_assert_eq(event.row.payload.size, 0);
    expect(PGOUTPUT_ROW);
    cr_assert(event.row.scheduled, "the last year of the server's");
    expect(PGOUTPUT_COMMIT);
}

Test(postgres_pgoutput, a_row_that_is_too_large_is_withheld)
{
    open_stream("large"); /* 1100 bytes of payload, 8 of headers */
    const struct {
        uint64_t bytes_max;
        bool withheld;
    } cases[] = {{1107, true}, {1108, false}};
    const struct span row = skip_to('I');
    for (size_t i = 0; i < 2; i++) {
        pgoutput.message_bytes_max = cases[i].bytes_max;
        cr_assert(decode(row));
        cr_assert_eq(event.row.withheld != NULL, cases[i].withheld);
        cr_assert_eq(event.row.payload.size, cases[i].withheld ? 0 : 1100);
        cr_assert_eq(event.row.headers.size, cases[i].withheld ? 0 : 8);
    }
    expect(PGOUTPUT_ROW);
    cr_assert_not(event.row.withheld);
    assert_text(event.row.payload, "small");
}

Test(postgres_pgoutput, the_table_may_be_altered_on_the_way)
{
    open_stream(
        "altered"); /* varchar, and a dropped column; then two more, one of which comes as text */
    for (int i = 0; i < 2; i++) {
        expect(PGOUTPUT_BEGIN);
        expect(PGOUTPUT_NOTHING);
        expect(PGOUTPUT_ROW);
        cr_assert_eq(event.row.id, i + 1);
        assert_text(event.row.type, "placed");
        assert_text(event.row.payload, "{\"total\": 10}");
        expect(PGOUTPUT_COMMIT);
    }
    expect_end();
}

Test(postgres_pgoutput, messages_of_the_log)
{
    open_stream("messages");
    expect(PGOUTPUT_MESSAGE);
    cr_assert_not(event.transactional);
    assert_text(event.prefix, "relay");
    assert_text(event.content, "at once");
    const uint64_t position = event.position;
    expect(PGOUTPUT_BEGIN);
    expect(PGOUTPUT_NOTHING);
    expect(PGOUTPUT_ROW);
    expect(PGOUTPUT_MESSAGE);
    cr_assert(event.transactional);
    cr_assert_gt(event.position, position);
    assert_text(event.prefix, "outbox");
    assert_text(event.content, "with the rest");
    expect(PGOUTPUT_MESSAGE);
    assert_text(event.prefix, "");
    assert_text(event.content, "");
    expect(PGOUTPUT_COMMIT);
    expect_end();
}

Test(postgres_pgoutput, what_is_not_inserted_into_the_outbox_is_nothing)
{
    open_stream(
        "everything"); /* types, other tables, updates, deletes, truncates: also of the outbox */
    size_t counts[PGOUTPUT_MESSAGE + 1] = {0};
    for (struct span next; messages_next(&stream, &next);) {
        cr_assert(decode(next), "%s", error.text);
        counts[event.type]++;
    }
    cr_assert_eq(counts[PGOUTPUT_BEGIN], 11);
    cr_assert_eq(counts[PGOUTPUT_COMMIT], 11);
    cr_assert_eq(counts[PGOUTPUT_ROW], 1);
    cr_assert_eq(counts[PGOUTPUT_MESSAGE], 0);
}

Test(postgres_pgoutput, a_transaction_from_elsewhere_is_one)
{
    open_stream("origin");
    expect(PGOUTPUT_BEGIN);
    expect(PGOUTPUT_NOTHING); /* the origin */
    expect(PGOUTPUT_NOTHING);
    expect(PGOUTPUT_ROW);
    expect(PGOUTPUT_COMMIT);
    expect_end();
}

Test(postgres_pgoutput, a_column_that_is_not_published_is_named)
{
    open_stream("without-payload");
    expect_refused(skip_to('R'), ERROR_CONFIG, "\"payload\" of table outbox is not in the log");
    cr_assert_not(pgoutput.described);
}

Test(postgres_pgoutput, a_column_of_another_type_is_named)
{
    open_stream("payload-as-text");
    expect_refused(skip_to('R'), ERROR_CONFIG, "\"payload\"");
    cr_assert_not_null(strstr(error.text, "make it bytea again"), "%s", error.text);
}

Test(postgres_pgoutput, a_stream_of_text_is_refused)
{
    open_stream("text");
    expect_refused(skip_to('I'), ERROR_CONNECTION, "not in binary");
}

Test(postgres_pgoutput, an_unknown_message_is_refused)
{
    open_stream("row");
    for (int type = 0; type < 256; type++) {
        const uint8_t byte = (uint8_t)type;
        expect_refused((struct span){&byte, 1}, ERROR_CONNECTION, "not understood");
    }
    expect_refused((struct span){"", 0}, ERROR_CONNECTION, "not understood");
}

Test(postgres_pgoutput, rows_and_commits_need_a_transaction)
{
    open_stream("row");
    const struct span begin = take();
    const struct span description = take();
    const struct span row = take();
    const struct span commit = take();
    expect_refused(row, ERROR_CONNECTION, "no transaction");
    expect_refused(commit, ERROR_CONNECTION, "does not end");
    cr_assert(decode(begin));
    expect_refused(row, ERROR_CONNECTION, "no description");
    expect_refused(begin, ERROR_CONNECTION, "has not ended");
    cr_assert(decode(description));
    cr_assert(decode(row));
    cr_assert(decode(commit));
    expect_refused(row, ERROR_CONNECTION, "no transaction");
    expect_refused(commit, ERROR_CONNECTION, "does not end");
}

static uint8_t changed[4096];

/* The message with other bytes at this place. */
static struct span
with(struct span bytes, size_t offset, const void *instead, size_t size)
{
    cr_assert_leq(bytes.size, sizeof(changed));
    cr_assert_leq(offset + size, bytes.size);
    memcpy(changed, bytes.data, bytes.size);
    memcpy(changed + offset, instead, size);
    return (struct span){changed, bytes.size};
}

Test(postgres_pgoutput, a_commit_is_of_its_transaction)
{
    open_stream("row");
    const struct span commit = skip_to('C');
    const uint8_t *const position = (const uint8_t *)commit.data + 2;
    expect_refused(with(commit, 2, "\0\0\0\0\0\0\0\1", 8), ERROR_CONNECTION, "does not end");
    expect_refused(with(commit, 10, position, 8), ERROR_CONNECTION, "does not end");
    cr_assert(decode(commit));
}

Test(postgres_pgoutput, tuples_are_marked_as_what_they_are)
{
    open_stream("everything"); /* another table first */
    expect_refused(with(skip_to('I'), 5, "K", 1), ERROR_CONNECTION, "form of protocol");
    expect_refused(with(skip_to('U'), 5, "X", 1), ERROR_CONNECTION, "form of protocol");
    expect_refused(with(skip_to('D'), 5, "N", 1), ERROR_CONNECTION, "form of protocol");
}

Test(postgres_pgoutput, a_row_may_be_made_before_all_time)
{
    open_stream("row");
    const struct span row = skip_to('I');
    cr_assert(decode(with(row, 162, "\200\0\0\0\0\0\0\0", 8)));
    cr_assert_eq(event.row.created_at_us, INT64_MIN, "-infinity");
}

Test(postgres_pgoutput, a_message_of_a_transaction_needs_one)
{
    open_stream("messages");
    const struct span at_once = skip_to('M');
    expect_refused(with(at_once, 1, "\1", 1), ERROR_CONNECTION, "not understood");
    expect_refused(with(at_once, 1, "\2", 1), ERROR_CONNECTION, "not understood");
}

/* The captured row with some bytes replaced. */
static void
expect_row_refused(size_t offset, const char *instead, enum error_class class, const char *words)
{
    open_stream("row");
    expect_refused(with(skip_to('I'), offset, instead, strlen(instead)), class, words);
}

Test(postgres_pgoutput, a_row_that_does_not_fit_the_table_is_refused)
{
    expect_row_refused(5, "K", ERROR_CONNECTION, "does not fit the description");
    expect_row_refused(7, "\f", ERROR_CONNECTION, "does not fit the description");
    expect_row_refused(8, "t", ERROR_CONNECTION, "not in binary"); /* the id */
    expect_row_refused(8, "x", ERROR_CONNECTION, "form of protocol version 1");
    expect_row_refused(120, "\2", ERROR_CONFIG, "form that is not known"); /* jsonb's version */
}

/* The captured row with one value replaced by this. */
static void
expect_row_refused_with(char kind, size_t offset, size_t value_bytes, enum error_class class,
                        const char *words)
{
    open_stream("row");
    const struct span row = skip_to('I');
    uint8_t copy[256];
    memcpy(copy, row.data, offset);
    copy[offset] = (uint8_t)kind;
    const size_t after = offset + 1 + 4 + value_bytes;
    memcpy(copy + offset + 1, (const uint8_t *)row.data + after, row.size - after);
    expect_refused((struct span){copy, row.size - 4 - value_bytes}, class, words);
}

Test(postgres_pgoutput, a_row_without_what_it_must_have_is_refused)
{
    expect_row_refused_with('n', 8, 8, ERROR_CONFIG, "NULL");               /* id */
    expect_row_refused_with('n', 21, 16, ERROR_CONFIG, "NULL");             /* message_id */
    expect_row_refused_with('n', 139, 13, ERROR_CONFIG, "NULL");            /* payload */
    expect_row_refused_with('n', 157, 8, ERROR_CONFIG, "NULL");             /* created_at */
    expect_row_refused_with('u', 42, 4, ERROR_CONNECTION, "not in binary"); /* exchange */
}

Test(postgres_pgoutput, a_table_has_at_most_1600_columns)
{
    open_stream("row");
    const size_t count = 1 + 4 + sizeof("public") + sizeof("outbox") + 1;
    expect_refused(with(skip_to('R'), count, "\6\101", 2), ERROR_CONNECTION, "so many columns");
}

/* Each message of each stream, in the state after the earlier ones; if one is refused, the stream ends. */
static void
for_each_message(void (*check)(struct span bytes))
{
    for (size_t i = 0; i < sizeof(captured) / sizeof(captured[0]); i++) {
        open_stream(captured[i]);
        for (struct span next; messages_next(&stream, &next);) {
            const struct pgoutput before = pgoutput;
            check(next);
            pgoutput = before;
            if (!decode(next)) {
                break;
            }
        }
    }
}

static void
check_every_truncation(struct span bytes)
{
    const struct pgoutput before = pgoutput;
    for (size_t size = 0; size < bytes.size; size++) {
        cr_assert_not(decode((struct span){bytes.data, size}), "%c: %zu of %zu bytes accepted",
                      *(const char *)bytes.data, size, bytes.size);
        pgoutput = before;
    }
}

Test(postgres_pgoutput, a_message_that_is_cut_anywhere_is_refused)
{
    for_each_message(check_every_truncation);
}

static void
check_one_more_byte(struct span bytes)
{
    cr_assert_lt(bytes.size, sizeof(changed));
    memcpy(changed, bytes.data, bytes.size);
    changed[bytes.size] = 0;
    cr_assert_not(decode((struct span){changed, bytes.size + 1}), "%c", changed[0]);
}

Test(postgres_pgoutput, a_message_that_is_longer_than_it_says_is_refused)
{
    for_each_message(check_one_more_byte);
}

/* Whatever the result: it ends, and the sanitizers find nothing. */
static void
check_every_flip(struct span bytes)
{
    const struct pgoutput before = pgoutput;
    (void)with(bytes, 0, "", 0); /* a copy */
    for (size_t bit = 0; bit < 8 * bytes.size; bit++) {
        changed[bit / 8] ^= (uint8_t)(1U << bit % 8);
        error.text[0] = '\0';
        cr_assert(decode((struct span){changed, bytes.size}) || error.text[0] != '\0');
        changed[bit / 8] ^= (uint8_t)(1U << bit % 8);
        pgoutput = before;
    }
}

Test(postgres_pgoutput, a_flipped_bit_does_no_harm)
{
    for_each_message(check_every_flip);
}
