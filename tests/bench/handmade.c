/* The loop that most teams write: begin, select … for update skip locked, publish, wait for all confirms, delete,
 * commit. */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/bench/bench.h"

static void
publish_row(struct session *session, struct window *window, const struct rabbit_message *like,
            PGresult *rows, int i)
{
    struct rabbit_message message = *like;
    message.message_id =
        (struct span){.data = PQgetvalue(rows, i, 1), .size = (size_t)PQgetlength(rows, i, 1)};
    message.routing_key =
        (struct span){.data = PQgetvalue(rows, i, 2), .size = (size_t)PQgetlength(rows, i, 2)};
    message.body =
        (struct span){.data = PQgetvalue(rows, i, 3), .size = (size_t)PQgetlength(rows, i, 3)};
    bench_send(session, window, &message);
}

static void
wait_for_confirms(struct session *session, struct window *window)
{
    while (window->open > 0) {
        struct rabbit_event event;
        bench_wait(session, RABBIT_CONFIRMED, &event);
        bench_confirm(window, &event);
    }
}

void
bench_handmade(int64_t messages)
{
    PGconn *conn = bench_connect();
    struct session *session = bench_session();
    struct buffer headers;
    buffer_init(&headers, 256, 1024);
    const struct rabbit_message like = bench_message(&headers);
    struct window window;
    window_init(&window, 1000);
    while (messages > 0) {
        bench_exec(conn, "begin");
        PGresult *rows = PQexecParams(
            conn,
            "select id, message_id::text, routing_key, payload from outbox order by id "
            "limit 1000 for update skip locked",
            0, NULL, NULL, NULL, NULL, 1);
        const int count = PQntuples(rows);
        if (count == 0) {
            bench_fail("the hand-made loop found too few rows: %s", PQerrorMessage(conn));
        }
        static char sql[1000 * 21 + 100];
        char *at = stpcpy(sql, "delete from outbox where id in (");
        for (int i = 0; i < count; i++) {
            publish_row(session, &window, &like, rows, i);
            int64_t id;
            memcpy(&id, PQgetvalue(rows, i, 0), sizeof(id));
            at += snprintf(at, 22, "%s%lld", i > 0 ? "," : "", (long long)be64toh((uint64_t)id));
        }
        wait_for_confirms(session, &window);
        (void)stpcpy(at, ")");
        bench_exec(conn, sql);
        bench_exec(conn, "commit");
        PQclear(rows);
        messages -= count;
    }
    session_free(session);
    window_done(&window);
    buffer_done(&headers);
    PQfinish(conn);
}
