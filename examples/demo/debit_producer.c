/* debit_producer.c - a complete producer: takes money from accounts and says so in the outbox, in one transaction.
 *
 *     debit_producer DSN TRANSFERS PER_SECOND
 *
 * Every eighth transaction is rolled back on purpose: of that transfer, nobody must ever hear. Prints at the end how many
 * were committed and rolled back. */
#include <outbox/outbox_pg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ACCOUNTS 20
#define ROLL_BACK_EVERY 8
#define AMOUNT_MAX 100

/* The number of the transfer within its account is given under the lock on the account. */
static const char debit_sql[] =
    "with debited as ("
    "    update account set balance = balance - $2::bigint, sequence = sequence + 1"
    "    where id = $1::integer returning id, sequence"
    ") insert into transfer (account, sequence, amount) select id, sequence, $2::bigint from "
    "debited"
    " returning sequence";

static bool
execute(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    const bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return done;
}

/* Writes the number of the transfer to ret_sequence, a text. */
static bool
debit(PGconn *conn, const char *account, const char *amount, char ret_sequence[32])
{
    const char *const values[] = {account, amount};
    PGresult *result = PQexecParams(conn, debit_sql, 2, NULL, values, NULL, NULL, 0);
    const bool done = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
    if (done) {
        (void)snprintf(ret_sequence, 32, "%s", PQgetvalue(result, 0, 0));
    }
    PQclear(result);
    return done;
}

/* The message: in the transaction of the debit, so that either both are there or none. */
static bool
announce(PGconn *conn, const char *account, const char *sequence, const char *amount)
{
    struct outbox_message message = OUTBOX_MESSAGE_INIT;
    struct outbox_error error;
    char key[32], body[128];
    (void)snprintf(key, sizeof(key), "account-%s", account);
    (void)snprintf(body, sizeof(body), "{\"account\": %s, \"sequence\": %s, \"amount\": %s}",
                   account, sequence, amount);
    message.routing_key = "transfer";
    message.key = key; /* transfers of one account arrive in the order of their commits */
    message.type = "transfer.made";
    message.content_type = "application/json";
    message.payload = body;
    message.payload_length = strlen(body);
    if (outbox_pg_write(conn, &message, NULL, &error) != OUTBOX_OK) {
        (void)fprintf(stderr, "outbox: %s\n", error.message);
        return false;
    }
    return true;
}

static bool
transfer(PGconn *conn, bool roll_back)
{
    char account[16], amount[16], sequence[32];
    (void)snprintf(account, sizeof(account), "%d", 1 + rand() % ACCOUNTS);
    (void)snprintf(amount, sizeof(amount), "%d", 1 + rand() % AMOUNT_MAX);
    const bool written = execute(conn, "begin") && debit(conn, account, amount, sequence) &&
                         announce(conn, account, sequence, amount);
    if (!written || roll_back) {
        return execute(conn, "rollback") && written;
    }
    return execute(conn, "commit");
}

static void
sleep_until(const struct timespec *start, long number, long per_second)
{
    struct timespec due = *start;
    const int64_t nanoseconds = due.tv_nsec + (int64_t)number * 1000000000 / per_second;
    due.tv_sec += nanoseconds / 1000000000;
    due.tv_nsec = nanoseconds % 1000000000;
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

int
main(int argc, char **argv)
{
    const long transfers = argc == 4 ? strtol(argv[2], NULL, 10) : 0;
    const long per_second = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
    if (transfers < 1 || per_second < 1) {
        (void)fprintf(stderr, "usage: debit_producer DSN TRANSFERS PER_SECOND\n");
        return 64;
    }
    PGconn *conn = PQconnectdb(argv[1]);
    struct timespec start;
    long committed = 0, rolled_back = 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    srand((unsigned)(start.tv_nsec ^ start.tv_sec));
    while (committed < transfers) {
        const bool roll_back = (committed + rolled_back) % ROLL_BACK_EVERY == ROLL_BACK_EVERY - 1;
        if (!transfer(conn, roll_back)) {
            (void)fprintf(stderr, "transfer failed: %s", PQerrorMessage(conn));
            break;
        }
        *(roll_back ? &rolled_back : &committed) += 1;
        sleep_until(&start, committed + rolled_back, per_second);
    }
    (void)printf("committed=%ld rolled_back=%ld\n", committed, rolled_back);
    PQfinish(conn);
    return committed == transfers ? EXIT_SUCCESS : EXIT_FAILURE;
}
