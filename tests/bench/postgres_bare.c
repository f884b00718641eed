/* The limits: only the work that is necessary for a message. A row is read (or comes from the log, is decoded, and
 * looked up in the table), encoded and published as by the relay, and deleted when it is confirmed. There is no order
 * of keys, no held messages, no late commits, no lease and no retry. One thread, as in the relay; database and broker
 * work at the same time: while the next rows are read and earlier ones deleted, the last ones are published. */
#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/wire.h"
#include "base/clock.h"
#include "relay/postgres/pgoutput.h"
#include "tests/bench/bench.h"
#include "tests/bench/lane.h"

#define BATCH 1000
#define BYTES_MAX (UINT64_C(128) << 20)
#define STATUS_BYTES 34
#define STATUS_US CLOCK_S_US
#define XLOG_DATA_HEADER 25
#define WAIT_MS 1000 /* the loops end with the last message */

/* Rows of the log that are being looked up. */
struct batch_of_log {
    struct row rows[BATCH];
    char *messages[BATCH]; /* libpq's memory, into which the rows point */
    int count;
};

struct bare {
    PGconn *conn;
    struct lane lane;
    int64_t deleted;
    int64_t deleting; /* the rows before this index, once the database has answered */
    bool asked;
    /* For the log. */
    PGconn *log;
    struct pgoutput decoder;
    struct batch_of_log batches[2];
    int gathering; /* the batch that is being filled; the other one is looked up */
    uint64_t position;
    uint64_t status_us;
};

static void
prepare(const struct bare *bare, const char *name, const char *statement)
{
    PGresult *result = PQprepare(bare->conn, name, statement, 0, NULL);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        bench_fail("%s", PQerrorMessage(bare->conn));
    }
    PQclear(result);
}

static void
open_bare(struct bare *bare, int64_t messages)
{
    bare->conn = bench_connect();
    lane_open(&bare->lane, messages);
    bench_exec(bare->conn, "set synchronous_commit = off"); /* as in the relay */
    bench_exec(bare->conn, "set enable_seqscan = off");
    prepare(bare, "delete", "delete from outbox where id = any($1::int8[])");
    prepare(bare, "present",
            "select id from outbox where id between $1::int8 and $2::int8 order by id");
    prepare(bare, "read",
            "select id, message_id, created_at, exchange, routing_key, key, type, content_type, "
            "headers::text, payload from outbox where id > $1::int8 order by id limit $2::int8");
    if (PQsetnonblocking(bare->conn, 1) != 0 || PQenterPipelineMode(bare->conn) != 1) {
        bench_fail("%s", PQerrorMessage(bare->conn));
    }
}

static void
close_bare(struct bare *bare)
{
    PQfinish(bare->conn);
    PQfinish(bare->log);
    lane_close(&bare->lane);
}

/* ---- the database ---- */

static void
send_prepared(struct bare *bare, const char *name, int count, const char *const *values,
              const int *sizes)
{
    static const int formats[] = {1, 1};
    if (PQsendQueryPrepared(bare->conn, name, count, values, sizes, formats, 1) != 1) {
        bench_fail("%s", PQerrorMessage(bare->conn));
    }
}

static void
send_pair(struct bare *bare, const char *name, int64_t first, int64_t second)
{
    const int64_t numbers[] = {(int64_t)htobe64((uint64_t)first),
                               (int64_t)htobe64((uint64_t)second)};
    const char *values[] = {(const char *)&numbers[0], (const char *)&numbers[1]};
    send_prepared(bare, name, 2, values, (const int[]){8, 8});
}

static void
send_delete(struct bare *bare)
{
    static uint8_t array[20 + 12 * (LANE_WINDOW + 2 * BATCH)];
    if (bare->lane.confirmed == bare->deleted) {
        return;
    }
    const uint32_t count = (uint32_t)(bare->lane.confirmed - bare->deleted);
    uint8_t *at = put_u32(put_u32(put_u32(array, 1), 0), 20); /* dimensions, NULLs, int8 */
    at = put_u32(put_u32(at, count), 1);
    for (uint32_t i = 0; i < count; i++) {
        at = put_u64(put_u32(at, 8), (uint64_t)bare->lane.ids[bare->deleted + i]);
    }
    const char *values[] = {(const char *)array};
    send_prepared(bare, "delete", 1, values, (const int[]){(int)(at - array)});
    bare->deleting = bare->lane.confirmed;
}

/* Everything that was sent before is one round trip. */
static void
send_sync(struct bare *bare)
{
    if (PQpipelineSync(bare->conn) != 1 || PQflush(bare->conn) < 0) {
        bench_fail("%s", PQerrorMessage(bare->conn));
    }
    bare->asked = true;
}

/* Takes the answers of the database so far. */
static void
take_answers(struct bare *bare, void (*take_rows)(struct bare *, const PGresult *))
{
    if (PQconsumeInput(bare->conn) != 1 || PQflush(bare->conn) < 0) {
        bench_fail("%s", PQerrorMessage(bare->conn));
    }
    while (bare->asked && !PQisBusy(bare->conn)) {
        PGresult *result = PQgetResult(bare->conn);
        const ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_PIPELINE_SYNC) {
            bare->asked = false;
            bare->deleted = bare->deleting;
        } else if (status == PGRES_TUPLES_OK) {
            take_rows(bare, result);
        } else if (status != PGRES_COMMAND_OK && result != NULL) { /* NULL separates two results */
            bench_fail("%s", PQresultErrorMessage(result));
        }
        PQclear(result);
    }
}

static bool
wants_log(const struct bare *bare)
{
    return bare->log != NULL && bare->batches[bare->gathering].count < BATCH &&
           lane_has_room(&bare->lane);
}

static void
wait_and_take(struct bare *bare, void (*take_rows)(struct bare *, const PGresult *))
{
    session_flush(bare->lane.session, clock_monotonic_us());
    struct pollfd polls[] = {
        {.fd = PQsocket(bare->conn), .events = POLLIN},
        {.fd = session_fd(bare->lane.session), .events = session_poll_events(bare->lane.session)},
        {.fd = wants_log(bare) ? PQsocket(bare->log) : -1, .events = POLLIN},
    };
    (void)poll(polls, sizeof(polls) / sizeof(polls[0]), WAIT_MS);
    lane_process(&bare->lane, polls[1].revents);
    if (polls[0].revents != 0) {
        take_answers(bare, take_rows);
    }
}

/* ---- polling ---- */

static struct span
value_of(const PGresult *result, int row, int column)
{
    return (struct span){.data = PQgetvalue(result, row, column),
                         .size = (size_t)PQgetlength(result, row, column)};
}

static int64_t
number_of(struct span value)
{
    struct reader reader = reader_of(value);
    return (int64_t)read_u64(&reader);
}

static void
publish_rows(struct bare *bare, const PGresult *result)
{
    for (int i = 0; i < PQntuples(result); i++) {
        struct row row = {
            .id = number_of(value_of(result, i, 0)),
            .created_at_us = number_of(value_of(result, i, 2)) + INT64_C(946684800000000),
            .exchange = value_of(result, i, 3),
            .routing_key = value_of(result, i, 4),
            .key = value_of(result, i, 5),
            .has_key = PQgetisnull(result, i, 5) == 0,
            .type = value_of(result, i, 6),
            .content_type = value_of(result, i, 7),
            .headers = value_of(result, i, 8),
            .payload = value_of(result, i, 9),
        };
        memcpy(row.message_id, PQgetvalue(result, i, 1), UUID_BYTES);
        lane_publish(&bare->lane, &row);
    }
}

void
bench_bare_poll(int64_t messages)
{
    static struct bare bare;
    open_bare(&bare, messages);
    while (bare.deleted < messages) {
        const bool more = bare.lane.published < messages && lane_has_room(&bare.lane);
        if (!bare.asked && (more || bare.lane.confirmed > bare.deleted)) {
            send_delete(&bare);
            if (more) {
                send_pair(&bare, "read",
                          bare.lane.published > 0 ? bare.lane.ids[bare.lane.published - 1] : 0,
                          BATCH);
            }
            send_sync(&bare);
        }
        wait_and_take(&bare, publish_rows);
    }
    close_bare(&bare);
}

/* ---- the log ---- */

static void
open_log(struct bare *bare)
{
    char dsn[600];
    (void)snprintf(dsn, sizeof(dsn), "%s replication=database", bench_database()->dsn());
    bare->log = PQconnectdb(dsn);
    PGresult *result =
        PQexec(bare->log,
               "START_REPLICATION SLOT \"" BENCH_LIMIT_SLOT "\" LOGICAL 0/0 (proto_version '1', "
               "publication_names '" BENCH_PUBLICATION "', binary 'true')");
    if (PQresultStatus(result) != PGRES_COPY_BOTH || PQsetnonblocking(bare->log, 1) != 0) {
        bench_fail("%s", PQerrorMessage(bare->log));
    }
    PQclear(result);
}

static void
send_status(struct bare *bare)
{
    uint8_t status[STATUS_BYTES] = {'r'};
    uint8_t *at = status + 1;
    for (int i = 0; i < 3; i++) {
        at = put_u64(at, bare->position);
    }
    if (PQputCopyData(bare->log, (const char *)status, sizeof(status)) != 1 ||
        PQflush(bare->log) < 0) {
        bench_fail("%s", PQerrorMessage(bare->log));
    }
    bare->status_us = clock_monotonic_us();
}

static void
take_message(struct bare *bare, char *message, int size)
{
    struct batch_of_log *batch = &bare->batches[bare->gathering];
    struct pgoutput_event event = {.type = PGOUTPUT_NOTHING};
    struct error error;
    if (message[0] == 'w' && !pgoutput_decode(&bare->decoder, message + XLOG_DATA_HEADER,
                                              (size_t)size - XLOG_DATA_HEADER, &event, &error)) {
        bench_fail("%s", error.text);
    }
    if (event.type == PGOUTPUT_ROW) {
        batch->rows[batch->count] = event.row;
        batch->messages[batch->count++] = message;
        return;
    }
    if (event.type == PGOUTPUT_COMMIT) {
        bare->position = event.position;
    }
    PQfreemem(message);
}

static void
read_log(struct bare *bare)
{
    const struct batch_of_log *batch = &bare->batches[bare->gathering];
    char *message;
    int size = 1;
    if (PQconsumeInput(bare->log) != 1) {
        bench_fail("%s", PQerrorMessage(bare->log));
    }
    while (batch->count < BATCH && (size = PQgetCopyData(bare->log, &message, 1)) > 0) {
        take_message(bare, message, size);
    }
    if (size < 0) {
        bench_fail("the log ended: %s", PQerrorMessage(bare->log));
    }
}

/* The rows of one batch are close together in the table, because the bench writes them so. */
static void
look_up(struct bare *bare)
{
    const struct batch_of_log *batch = &bare->batches[bare->gathering];
    send_pair(bare, "present", batch->rows[0].id, batch->rows[batch->count - 1].id);
    bare->gathering = 1 - bare->gathering;
}

static void
publish_present(struct bare *bare, const PGresult *result)
{
    struct batch_of_log *batch = &bare->batches[1 - bare->gathering];
    if (PQntuples(result) != batch->count) {
        bench_fail("the log has what the table has not");
    }
    for (int i = 0; i < batch->count; i++) {
        lane_publish(&bare->lane, &batch->rows[i]);
        PQfreemem(batch->messages[i]);
    }
    batch->count = 0;
}

void
bench_bare_tail(int64_t messages)
{
    static struct bare bare;
    open_bare(&bare, messages);
    open_log(&bare);
    PGconn *conn = bench_connect();
    pgoutput_init(&bare.decoder, (uint32_t)bench_number(conn, "select 'outbox'::regclass::oid"),
                  BYTES_MAX);
    PQfinish(conn);
    while (bare.deleted < messages) {
        if (wants_log(&bare)) {
            read_log(&bare);
        }
        const bool more = bare.batches[bare.gathering].count > 0;
        if (!bare.asked && (more || bare.lane.confirmed > bare.deleted)) {
            send_delete(&bare);
            if (more) {
                look_up(&bare);
            }
            send_sync(&bare);
        }
        if (clock_monotonic_us() > bare.status_us + STATUS_US) {
            send_status(&bare);
        }
        wait_and_take(&bare, publish_present);
    }
    close_bare(&bare);
}

/* ---- beside a publisher of its own ---- */

static void
check(PGconn *conn, PGresult *result, ExecStatusType wanted)
{
    if (PQresultStatus(result) != wanted) {
        bench_fail("%s", PQerrorMessage(conn));
    }
}

/* An int8[] in binary: the ids as received, each with its length before it. */
static int
ids_of(PGresult *rows, char *array)
{
    static const unsigned char head[20] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20};
    const int count = PQntuples(rows);
    memcpy(array, head, sizeof(head));
    array[14] = (char)(count >> 8);
    array[15] = (char)count;
    array[19] = 1;
    char *at = array + sizeof(head);
    for (int i = 0; i < count; i++) {
        memcpy(at, "\0\0\0\10", 4);
        memcpy(at + 4, PQgetvalue(rows, i, 0), 8);
        at += 12;
    }
    return (int)(at - array);
}

void
bench_read_and_delete(int64_t rows)
{
    PGconn *conn = bench_connect();
    bench_exec(conn, "set synchronous_commit = off");
    PQclear(PQprepare(conn, "read",
                      "select id, message_id, created_at, exchange, routing_key, key, type, "
                      "content_type, headers, payload "
                      "from outbox where id > $1::int8 order by id limit 1000",
                      0, NULL));
    PQclear(PQprepare(conn, "delete", "delete from outbox where id = any($1::int8[])", 0, NULL));
    char last[8] = {0};
    static char array[20 + 12 * 1000];
    while (rows > 0) {
        const char *after[] = {last};
        PGresult *read =
            PQexecPrepared(conn, "read", 1, after, (const int[]){8}, (const int[]){1}, 1);
        check(conn, read, PGRES_TUPLES_OK);
        if (PQntuples(read) == 0) {
            bench_fail("the bare loop found too few rows");
        }
        const char *ids[] = {array};
        const int size = ids_of(read, array);
        memcpy(last, PQgetvalue(read, PQntuples(read) - 1, 0), sizeof(last));
        rows -= PQntuples(read);
        PGresult *deleted =
            PQexecPrepared(conn, "delete", 1, ids, (const int[]){size}, (const int[]){1}, 1);
        check(conn, deleted, PGRES_COMMAND_OK);
        PQclear(deleted);
        PQclear(read);
    }
    PQfinish(conn);
}
