/* producer.c - places an order and announces it, in one transaction.
 *
 *     producer ITEM NOTE
 *
 * The environment says where the database is: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE. The note is put into the JSON
 * by the database, which knows how to quote it. */
#include <outbox/outbox_pg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char insert_order[] =
    "insert into orders (item, note) values ($1, $2)"
    " returning id, json_build_object('order', id, 'note', note)::text";
static const char take_from_stock[] = "update stock set pieces = pieces - 1 where item = $1";

/* NULL: it failed, and the error was printed. */
static PGresult *
query(PGconn *db, const char *sql, int count, const char *const *values, ExecStatusType expected)
{
    PGresult *result = PQexecParams(db, sql, count, NULL, values, NULL, NULL, 0);
    if (PQresultStatus(result) != expected) {
        (void)fprintf(stderr, "%s", PQerrorMessage(db));
        PQclear(result);
        return NULL;
    }
    return result;
}

static bool
run(PGconn *db, const char *sql, int count, const char *const *values)
{
    PGresult *result = query(db, sql, count, values, PGRES_COMMAND_OK);
    PQclear(result);
    return result != NULL;
}

static bool
announce(PGconn *db, const char *order, const char *json)
{
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    struct outbox_error error;
    char key[32];
    (void)snprintf(key, sizeof(key), "order-%s", order); /* messages of one key arrive in order */
    message.routing_key = "order.placed";
    message.key = key;
    message.type = "order.placed";
    message.content_type = "application/json";
    message.payload = json;
    message.payload_length = strlen(json);
    if (outbox_pg_write(db, &message, NULL, &error) != OUTBOX_OK) {
        (void)fprintf(stderr, "outbox: %s\n", error.message);
        return false;
    }
    return true;
}

/* Everything is committed or nothing: a failure rolls back, and no message about the order is sent. */
static bool
place_order(PGconn *db, const char *item, const char *note)
{
    const char *const order[] = {item, note};
    if (!run(db, "begin", 0, NULL)) {
        return false;
    }
    PGresult *placed = query(db, insert_order, 2, order, PGRES_TUPLES_OK);
    const bool done = placed != NULL &&
                      announce(db, PQgetvalue(placed, 0, 0), PQgetvalue(placed, 0, 1)) &&
                      run(db, take_from_stock, 1, order) /* fails if none is left */ &&
                      run(db, "commit", 0, NULL);
    if (done) {
        (void)printf("%s\n", PQgetvalue(placed, 0, 0));
    } else {
        (void)run(db, "rollback", 0, NULL);
    }
    PQclear(placed);
    return done;
}

int
main(int argc, char **argv)
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: producer ITEM NOTE\n");
        return 64;
    }
    PGconn *db = PQconnectdb("");
    const bool connected = PQstatus(db) == CONNECTION_OK;
    if (!connected) {
        (void)fprintf(stderr, "%s", PQerrorMessage(db));
    }
    const bool done = connected && place_order(db, argv[1], argv[2]);
    PQfinish(db);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
