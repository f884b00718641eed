/* consumer_mysql.c - ships what was ordered: each message has its effect once, whatever happens to the servers or to this
 * process. With a database in MariaDB or MySQL.
 *
 *     consumer_mysql AMQP_URL QUEUE
 *
 * The environment says where the database is: MYSQL_HOST, MYSQL_PORT, MYSQL_USER, MYSQL_PASSWORD, MYSQL_DATABASE. Ends on
 * SIGTERM, after the messages in hand. The runner does the rest: transactions, retries, dead letters, outages. */
#include <inbox/inbox_runner_mysql.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inbox_runner_mysql *runner;

static void
on_signal(int number)
{
    (void)number;
    inbox_runner_mysql_stop(runner);
}

/* A value of the wrong type becomes null, which the table refuses. The body is given in hex. */
static const char ship_sql[] =
    "insert into shipment (order_id, note) select"
    " if(json_type(json_extract(b, '$.order')) = 'INTEGER', json_extract(b, '$.order'), null),"
    " if(json_type(json_extract(b, '$.note')) = 'STRING',"
    " json_unquote(json_extract(b, '$.note')), null)"
    " from (select _utf8mb4 x'";
static const char ship_end[] = "' as b) as m";

static int
run_ship(MYSQL *tx, const struct inbox_delivery *delivery)
{
    const size_t start = sizeof(ship_sql) - 1;
    char *sql = malloc(start + 2 * delivery->body_length + sizeof(ship_end));
    if (sql == NULL) {
        return -1;
    }
    memcpy(sql, ship_sql, start);
    const size_t end =
        start + mysql_hex_string(sql + start, delivery->body, (unsigned long)delivery->body_length);
    memcpy(sql + end, ship_end, sizeof(ship_end));
    const int failed = mysql_real_query(tx, sql, (unsigned long)(end + sizeof(ship_end) - 1));
    free(sql);
    return failed;
}

/* The effect of one message, in the same transaction as the inbox row. */
static inbox_apply
ship(void *context, MYSQL *tx, const struct inbox_delivery *delivery)
{
    (void)context;
    if (run_ship(tx, delivery) == 0) {
        return INBOX_APPLY_OK;
    }
    /* SQLSTATE classes 22 and 23: this body can never be applied. 4038 is MariaDB's error for invalid JSON. */
    const char *state = mysql_sqlstate(tx);
    return strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 || mysql_errno(tx) == 4038
               ? INBOX_APPLY_REJECT
               : INBOX_APPLY_RETRY;
}

static void
report(void *context, inbox_report_level level, const char *event, const char *text)
{
    (void)context;
    (void)level;
    (void)fprintf(stderr, "%s: %s\n", event, text);
}

/* Option names of libpq; a value with blanks or quotes needs quotes. */
static const char *
make_dsn(void)
{
    static char dsn[1000];
    (void)snprintf(dsn, sizeof(dsn), "host=%s port=%s user=%s password='%s' dbname=%s",
                   getenv("MYSQL_HOST"), getenv("MYSQL_PORT"), getenv("MYSQL_USER"),
                   getenv("MYSQL_PASSWORD"), getenv("MYSQL_DATABASE"));
    return dsn;
}

int
main(int argc, char **argv)
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: consumer_mysql AMQP_URL QUEUE\n");
        return 64;
    }
    struct inbox_runner_mysql_options options = INBOX_RUNNER_MYSQL_OPTIONS_INIT;
    struct inbox_error error;
    options.broker_uri = argv[1];
    options.queue = argv[2];
    options.dsn = make_dsn();
    options.consumer = "shipping"; /* its name in the inbox: each effect needs its own */
    options.apply = ship;
    options.report = report;
    if (inbox_runner_mysql_new(&options, &runner, &error) != INBOX_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return EXIT_FAILURE;
    }
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);
    const inbox_result result = inbox_runner_mysql_run(runner, &error);
    if (result != INBOX_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
    }
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    inbox_runner_mysql_free(runner);
    return result == INBOX_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
