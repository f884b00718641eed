/* The limits over MariaDB's client library, as postgres_bare.c has them over libpq: one session, one thread that never waits
 * for the database while the broker has something to say. Values come as text, row by row as they arrive: of the ways that the
 * library has, that one costs least. */
#include "tests/bench/mysql_bare.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mysql/client.h"
#include "tests/bench/bench.h"
#include "tests/bench/lane.h"
#include "tests/integration/mysql_fixture.h"

#define BATCH 1000
#define WAIT_MS 1000 /* the loops end by the count */
#define ID_DIGITS 20
#define READ                                                                             \
    "select id, message_id, timestampdiff(second, '1970-01-01', created_at), exchange, " \
    "routing_key, `key`, type, content_type, headers, payload "                          \
    "from outbox where id > %lld order by id limit %d"

enum asked { NOTHING, FOR_DELETE, FOR_ROWS };

struct bare {
    MYSQL *conn;
    struct lane lane;
    enum asked asked;
    int64_t deleted;
    int64_t deleting; /* up to here, when the database has answered */
    bool rows_were_last;
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

/* A delete by ids; the text is good until the next one. */
static const char *
delete_of(const int64_t *ids, int64_t count)
{
    static char sql[100 + (LANE_WINDOW + 2 * BATCH) * (ID_DIGITS + 1)];
    const char *const end = sql + sizeof(sql); /* there is room for all that can be on the way */
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

static void
take_rows(struct bare *bare)
{
    MYSQL_RES *rows = mysql_use_result(bare->conn);
    MYSQL_ROW values;
    while (rows != NULL && (values = mysql_fetch_row(rows)) != NULL) {
        publish_values(&bare->lane, values, mysql_fetch_lengths(rows));
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
        take_rows(bare);
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
    };
    (void)poll(polls, sizeof(polls) / sizeof(polls[0]), WAIT_MS);
    lane_process(lane, polls[1].revents);
    if (polls[0].revents != 0) {
        take_answer(bare);
    }
}

static void
open_bare(struct bare *bare, int64_t messages)
{
    *bare = (struct bare){.conn = connect_to_server()};
    lane_open(&bare->lane, messages);
}

static void
close_bare(struct bare *bare)
{
    lane_close(&bare->lane);
    mysql_close(bare->conn);
}

/* Rows and deletes in turns: after some rows, what is confirmed by then. */
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

/* ---- beside a publisher of its own ---- */

/* How many came; at least one. */
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
