/* The limits with MariaDB's client library, like those of postgres_bare.c with libpq: one session, and one thread that
 * never waits for the database while the broker has something to read. Values come as text, row by row, which is the
 * cheapest way that the library has. */
#include "tests/bench/mysql_bare.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "amqp/wire.h"
#include "base/clock.h"
#include "base/mysql/client.h"
#include "base/span.h"
#include "tests/bench/bench.h"
#include "tests/bench/lane.h"
#include "tests/integration/mysql_fixture.h"

#define BATCH 1000
#define WAIT_MS 1000 /* the loops end with the last message */
#define ID_DIGITS 20
#define EVENT_HEADER_BYTES 19
#define EVENT_BYTES_MAX (1 << 20) /* rows come in events of 8 KB */
#define TELL_BYTES 65536          /* report after so many bytes of the log */
#define READ                                                                             \
    "select id, message_id, timestampdiff(second, '1970-01-01', created_at), exchange, " \
    "routing_key, `key`, type, content_type, headers, payload "                          \
    "from outbox where id > %lld order by id limit %d"

enum asked { NOTHING, FOR_DELETE, FOR_ROWS, FOR_PRESENT };

struct bare {
    MYSQL *conn;
    struct lane lane;
    enum asked asked;
    int64_t deleted;
    int64_t deleting; /* the rows before this index, once the database has answered */
    bool rows_were_last;
    int log_more; /* an eventfd: more of the log was read; -1: not used */
};

static _Noreturn void
fail(MYSQL *conn)
{
    bench_fail("%s", mysql_error(conn));
}

static MYSQL *
connect_to_server(void)
{
    MYSQL *conn = mysql_fixture_connect();
    mysql_fixture_exec(conn, "set session transaction isolation level read committed");
    return conn;
}

/* A DELETE by ids; the text is valid until the next call. */
static const char *
delete_of(const int64_t *ids, int64_t count)
{
    static char sql[100 + (LANE_WINDOW + 2 * BATCH) * (ID_DIGITS + 1)];
    const char *const end = sql + sizeof(sql); /* there is room for all unconfirmed messages */
    char *at = sql;
    at += snprintf(at, (size_t)(end - at), "delete from outbox where id in (");
    for (int64_t i = 0; i < count; i++) {
        at += snprintf(at, (size_t)(end - at), "%lld,", (long long)ids[i]);
    }
    at[-1] = ')';
    return sql;
}

/* ---- polling ---- */

static void
ask(struct bare *bare, enum asked what, const char *sql)
{
    if (mysql_send_query(bare->conn, sql, strlen(sql)) != 0) {
        fail(bare->conn);
    }
    bare->asked = what;
}

static void
ask_for_rows(struct bare *bare)
{
    char sql[400];
    const struct lane *lane = &bare->lane;
    const int64_t after = lane->published > 0 ? lane->ids[lane->published - 1] : 0;
    (void)snprintf(sql, sizeof(sql), READ, (long long)after, BATCH);
    ask(bare, FOR_ROWS, sql);
}

static void
publish_values(struct lane *lane, MYSQL_ROW values, const unsigned long *sizes)
{
    struct row row = {
        .id = strtoll(values[0], NULL, 10),
        .created_at_us = strtoll(values[2], NULL, 10) * CLOCK_S_US,
        .exchange = {values[3], sizes[3]},
        .routing_key = {values[4], sizes[4]},
        .key = {values[5], sizes[5]},
        .has_key = values[5] != NULL,
        .type = {values[6], sizes[6]},
        .content_type = {values[7], sizes[7]},
        .headers = {values[8], sizes[8]},
        .payload = {values[9], sizes[9]},
    };
    memcpy(row.message_id, values[1], UUID_BYTES);
    lane_publish(lane, &row);
}

/* Nothing was decoded of a row of the log: it is as `insert` of mysql.c wrote it. */
static void
publish_number(struct lane *lane, MYSQL_ROW values, const unsigned long *sizes)
{
    static uint8_t payload[BENCH_PAYLOAD_BYTES];
    char key[ID_DIGITS];
    const int64_t id = strtoll(values[0], NULL, 10);
    (void)sizes;
    if (payload[BENCH_PAYLOAD_BYTES - 1] == 0) {
        memset(payload, BENCH_FILLER, sizeof(payload));
    }
    (void)put_u64(payload, (uint64_t)id);
    const struct row row = {
        .id = id,
        .created_at_us = (int64_t)clock_wall_us(),
        .routing_key = {BENCH_QUEUE, sizeof(BENCH_QUEUE) - 1},
        .key = {key, (size_t)snprintf(key, sizeof(key), "%d", (int)(id % BENCH_KEYS))},
        .has_key = true,
        .payload = {payload, sizeof(payload)},
    };
    lane_publish(lane, &row);
}

static void
take_rows(struct bare *bare, void (*publish)(struct lane *, MYSQL_ROW, const unsigned long *))
{
    MYSQL_RES *rows = mysql_use_result(bare->conn);
    MYSQL_ROW values;
    while (rows != NULL && (values = mysql_fetch_row(rows)) != NULL) {
        publish(&bare->lane, values, mysql_fetch_lengths(rows));
    }
    if (mysql_errno(bare->conn) != 0) {
        fail(bare->conn);
    }
    mysql_free_result(rows);
}

static void
take_answer(struct bare *bare)
{
    if (mysql_read_query_result(bare->conn) != 0) {
        fail(bare->conn);
    }
    if (bare->asked == FOR_ROWS) {
        take_rows(bare, publish_values);
    } else if (bare->asked == FOR_PRESENT) {
        take_rows(bare, publish_number);
    }
    bare->deleted = bare->deleting;
    bare->asked = NOTHING;
}

static void
wait_and_take(struct bare *bare)
{
    struct lane *lane = &bare->lane;
    session_flush(lane->session, clock_monotonic_us());
    struct pollfd polls[] = {
        {.fd = bare->asked != NOTHING ? mysql_client_socket(bare->conn) : -1, .events = POLLIN},
        {.fd = session_fd(lane->session), .events = session_poll_events(lane->session)},
        {.fd = bare->asked == NOTHING && lane_has_room(lane) ? bare->log_more : -1,
         .events = POLLIN},
    };
    (void)poll(polls, sizeof(polls) / sizeof(polls[0]), WAIT_MS);
    if (polls[2].revents != 0) {
        eventfd_t count;
        (void)eventfd_read(bare->log_more, &count);
    }
    lane_process(lane, polls[1].revents);
    if (polls[0].revents != 0) {
        take_answer(bare);
    }
}

static void
open_bare(struct bare *bare, int64_t messages)
{
    *bare = (struct bare){.conn = connect_to_server(), .log_more = -1};
    lane_open(&bare->lane, messages);
}

static void
close_bare(struct bare *bare)
{
    lane_close(&bare->lane);
    mysql_close(bare->conn);
}

/* Reads and deletes in turns: after some rows, the messages that are confirmed. */
static void
go_on(struct bare *bare, bool more, void (*ask_for_more)(struct bare *))
{
    const int64_t confirmed = bare->lane.confirmed - bare->deleted;
    if (bare->asked == NOTHING && more && (!bare->rows_were_last || confirmed == 0)) {
        ask_for_more(bare);
        bare->rows_were_last = true;
    } else if (bare->asked == NOTHING && confirmed > 0) {
        ask(bare, FOR_DELETE, delete_of(bare->lane.ids + bare->deleted, confirmed));
        bare->deleting = bare->lane.confirmed;
        bare->rows_were_last = false;
    }
    wait_and_take(bare);
}

void
bench_mysql_bare_poll(int64_t messages)
{
    static struct bare bare;
    open_bare(&bare, messages);
    while (bare.deleted < messages) {
        go_on(&bare, bare.lane.published < messages && lane_has_room(&bare.lane), ask_for_rows);
    }
    close_bare(&bare);
}

/* ---- the log ---- */

/* The part of the log to read. */
static struct {
    char file[300];
    uint64_t from;
    uint64_t to;
    _Atomic uint64_t read; /* read so far */
    int more;              /* an eventfd, see struct bare */
} the_log;

static uint64_t
position_of_log(MYSQL *conn, char *ret_file, size_t size)
{
    if (mysql_query(conn, "show master status") != 0 && /* until MySQL 8.3 */
        mysql_query(conn, "show binary log status") != 0) {
        fail(conn);
    }
    MYSQL_RES *result = mysql_store_result(conn);
    MYSQL_ROW row = result != NULL ? mysql_fetch_row(result) : NULL;
    if (row == NULL) {
        bench_fail("the server writes no log");
    }
    (void)snprintf(ret_file, size, "%s", row[0]);
    const uint64_t position = strtoull(row[1], NULL, 10);
    mysql_free_result(result);
    return position;
}

void
bench_mysql_mark_log(MYSQL *conn)
{
    the_log.from = position_of_log(conn, the_log.file, sizeof(the_log.file));
}

void
bench_mysql_mark_log_end(MYSQL *conn)
{
    char file[sizeof(the_log.file)];
    the_log.to = position_of_log(conn, file, sizeof(file));
    if (strcmp(file, the_log.file) != 0) {
        bench_fail("the log does not fit into one file: fewer messages");
    }
}

static MYSQL *
open_log(struct mysql_client_log *log)
{
    MYSQL *conn = mysql_fixture_connect();
    mysql_fixture_exec(conn, "set @master_binlog_checksum = @@global.binlog_checksum");
    /* So that events come unchanged. */
    mysql_fixture_exec(conn, "set @mariadb_slave_capability = 4");
    if (!mysql_client_log_begin(conn, log)) {
        fail(conn);
    }
    return conn;
}

/* Reads only the end of each event, which is at byte 13 of its header. */
static void *
read_log(void *unused)
{
    struct mysql_client_log log = {
        .file = the_log.file,
        .offset = (uint32_t)the_log.from,
        .server_id = (uint32_t)getpid(),
        .event_bytes_max = EVENT_BYTES_MAX,
    };
    MYSQL *conn = open_log(&log);
    struct span event;
    uint64_t told = 0;
    (void)unused;
    while (the_log.read < the_log.to) {
        if (!mysql_client_log_next(conn, &log, &event) || event.size < EVENT_HEADER_BYTES) {
            bench_fail("the log ended: %s", mysql_error(conn));
        }
        const uint8_t *at = (const uint8_t *)event.data + 13;
        const uint64_t end =
            (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24;
        if (end > the_log.read) {
            the_log.read = end;
        }
        if (end >= told + TELL_BYTES || end >= the_log.to) {
            (void)eventfd_write(the_log.more, 1);
            told = end;
        }
    }
    mysql_close(conn);
    mysql_client_log_done(&log);
    return NULL;
}

/* All rows have nearly the same size, so the size of the log that was read gives their number. */
static int64_t
rows_read(int64_t messages)
{
    const uint64_t read = the_log.read;
    if (read <= the_log.from) {
        return 0;
    }
    return (int64_t)((double)messages * (double)(read - the_log.from) /
                     (double)(the_log.to - the_log.from));
}

static void
look_up(struct bare *bare)
{
    char sql[200];
    const int64_t read = rows_read(bare->lane.messages), published = bare->lane.published;
    (void)snprintf(
        sql, sizeof(sql), "select id from outbox where id between %lld and %lld order by id",
        (long long)published + 1, (long long)(read < published + BATCH ? read : published + BATCH));
    ask(bare, FOR_PRESENT, sql);
}

void
bench_mysql_bare_tail(int64_t messages)
{
    static struct bare bare;
    pthread_t reader;
    open_bare(&bare, messages);
    bare.log_more = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    the_log.more = bare.log_more;
    if (bare.log_more < 0 || pthread_create(&reader, NULL, read_log, NULL) != 0) {
        bench_fail("no thread for the log");
    }
    while (bare.deleted < messages) {
        const bool more = lane_has_room(&bare.lane) && rows_read(messages) > bare.lane.published;
        go_on(&bare, more, look_up);
    }
    (void)pthread_join(reader, NULL); /* it has read everything */
    close_bare(&bare);
}

/* ---- beside a publisher of its own ---- */

/* Returns how many came; at least one. */
static int64_t
read_ids(MYSQL *conn, int64_t after_id, int64_t *ids)
{
    char sql[400];
    int64_t count = 0;
    (void)snprintf(sql, sizeof(sql), READ, (long long)after_id, BATCH);
    MYSQL_RES *result = mysql_query(conn, sql) == 0 ? mysql_use_result(conn) : NULL;
    MYSQL_ROW values;
    while (result != NULL && (values = mysql_fetch_row(result)) != NULL) {
        ids[count++] = strtoll(values[0], NULL, 10);
    }
    mysql_free_result(result);
    if (mysql_errno(conn) != 0) {
        fail(conn);
    }
    if (count == 0) {
        bench_fail("the bare loop found too few rows");
    }
    return count;
}

void
bench_mysql_read_and_delete(int64_t rows)
{
    MYSQL *conn = connect_to_server();
    int64_t ids[BATCH];
    int64_t last = 0;
    while (rows > 0) {
        const int64_t count = read_ids(conn, last, ids);
        mysql_fixture_exec(conn, delete_of(ids, count));
        last = ids[count - 1];
        rows -= count;
    }
    mysql_close(conn);
}
