/* The limit: what this machine could do with nothing between database and broker. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/bench/bench.h"

#define WINDOW 8192
#define BATCH "1000"
#define WRITE_BYTES ((size_t)256 * 1024)

static int64_t
fill_window(struct session *session, struct window *window, const struct rabbit_message *message,
            int64_t left)
{
    while (left > 0 && window->open < WINDOW && !window_is_full(window) &&
           session_queued_bytes(session) < WRITE_BYTES) {
        bench_send(session, window, message);
        left--;
    }
    return left;
}

void
bench_publish(int64_t messages)
{
    struct session *session = bench_session();
    struct buffer headers;
    struct window window;
    struct rabbit_event event;
    window_init(&window, WINDOW);
    buffer_init(&headers, 256, 1024);
    const struct rabbit_message message = bench_message(&headers);
    while (messages > 0 || window.open > 0) {
        messages = fill_window(session, &window, &message, messages);
        session_flush(session, clock_monotonic_us());
        struct pollfd fd = {.fd = session_fd(session), .events = session_poll_events(session)};
        (void)poll(&fd, 1, 1000); /* the loop ends by the count */
        session_process(session, fd.revents, clock_monotonic_us());
        while (session_next(session, &event)) {
            bench_confirm(&window, &event);
        }
    }
    session_free(session);
    window_done(&window);
    buffer_done(&headers);
}

static void
check(PGconn *conn, PGresult *result, ExecStatusType wanted)
{
    if (PQresultStatus(result) != wanted) {
        bench_fail("%s", PQerrorMessage(conn));
    }
}

/* An int8[] in binary: the ids as they came, each with its length before it. */
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
                      "from outbox where id > $1::int8 order by id limit " BATCH,
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
