/* producer_mysql.c - places an order and announces it, in one transaction, in MariaDB or MySQL.
 *
 *     producer_mysql ITEM NOTE
 *
 * The environment says where the database is: MYSQL_HOST, MYSQL_PORT, MYSQL_USER, MYSQL_PASSWORD, MYSQL_DATABASE. The note is
 * put into the JSON by the database, which knows how to quote it. */
#include <outbox/outbox_mysql.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char make_json[] =
    "select id, json_object('order', id, 'note', note) from orders where id = last_insert_id()";

static bool
run(MYSQL *db, const char *sql)
{
    if (mysql_query(db, sql) != 0) {
        (void)fprintf(stderr, "%s\n", mysql_error(db));
        return false;
    }
    return true;
}

/* The most bytes of an argument; longer ones are refused. */
#define TEXT_MAX 1000

/* Hex has the same meaning in every sql_mode and character set. */
static void
to_hex(const char *text, char ret_hex[2 * TEXT_MAX + 1])
{
    (void)mysql_hex_string(ret_hex, text, (unsigned long)strlen(text));
}

static bool
insert_order(MYSQL *db, const char *item, const char *note)
{
    char items[2 * TEXT_MAX + 1];
    char notes[2 * TEXT_MAX + 1];
    char sql[4 * TEXT_MAX + 100];
    to_hex(item, items);
    to_hex(note, notes);
    (void)snprintf(sql, sizeof(sql),
                   "insert into orders (item, note) values (_utf8mb4 x'%s', _utf8mb4 x'%s')", items,
                   notes);
    return run(db, sql);
}

/* Fails if none is left. */
static bool
take_from_stock(MYSQL *db, const char *item)
{
    char items[2 * TEXT_MAX + 1];
    char sql[2 * TEXT_MAX + 100];
    to_hex(item, items);
    (void)snprintf(sql, sizeof(sql),
                   "update stock set pieces = pieces - 1 where item = _utf8mb4 x'%s'", items);
    return run(db, sql);
}

static bool
announce(MYSQL *db, const char *order, const char *json)
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
    if (outbox_mysql_write(db, &message, NULL, &error) != OUTBOX_OK) {
        (void)fprintf(stderr, "outbox: %s\n", error.message);
        return false;
    }
    return true;
}

/* The id of the order that was just inserted. */
static MYSQL_RES *
find_order(MYSQL *db)
{
    return run(db, make_json) ? mysql_store_result(db) : NULL;
}

/* Everything is committed or nothing: a failure rolls back, and no message about the order is sent. */
static bool
place_order(MYSQL *db, const char *item, const char *note)
{
    MYSQL_RES *rows = NULL;
    MYSQL_ROW row = NULL;
    const bool done = run(db, "start transaction") && insert_order(db, item, note) &&
                      (rows = find_order(db)) != NULL && (row = mysql_fetch_row(rows)) != NULL &&
                      announce(db, row[0], row[1]) && take_from_stock(db, item) &&
                      run(db, "commit");
    if (done) {
        (void)printf("%s\n", row[0]);
    } else {
        (void)run(db, "rollback");
    }
    mysql_free_result(rows);
    return done;
}

static MYSQL *
connect_to_database(void)
{
    MYSQL *db = mysql_init(NULL);
    const char *port = getenv("MYSQL_PORT");
    if (db == NULL || mysql_options(db, MYSQL_SET_CHARSET_NAME, "utf8mb4") != 0 ||
        mysql_real_connect(db, getenv("MYSQL_HOST"), getenv("MYSQL_USER"), getenv("MYSQL_PASSWORD"),
                           getenv("MYSQL_DATABASE"),
                           port != NULL ? (unsigned)strtoul(port, NULL, 10) : 0, NULL, 0) == NULL) {
        (void)fprintf(stderr, "%s\n", db != NULL ? mysql_error(db) : "no memory");
        mysql_close(db);
        return NULL;
    }
    return db;
}

int
main(int argc, char **argv)
{
    if (argc != 3 || strlen(argv[1]) > TEXT_MAX || strlen(argv[2]) > TEXT_MAX) {
        (void)fprintf(stderr, "usage: producer_mysql ITEM NOTE, of at most %d bytes each\n",
                      TEXT_MAX);
        return 64;
    }
    MYSQL *db = connect_to_database();
    const bool done = db != NULL && place_order(db, argv[1], argv[2]);
    if (db != NULL) {
        mysql_close(db);
    }
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
