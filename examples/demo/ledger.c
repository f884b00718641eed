/* ledger.c - is all the money there? Compares what one bank has sent with what the other has booked, and asks nobody but
 * the two databases.
 *
 *     demo_ledger FROM_DSN TO_DSN [LABEL=VALUE…]      the pairs are shown in the table too
 *
 * lost            transfers committed there and never booked here
 * applied_twice   bookings of a transfer after its first
 * out_of_order    transfers booked, for the first time, after a later one of the same account
 * invented        bookings of transfers that were never committed
 *
 * Exit 0 if all of these are 0 and no money has come or gone, else 1; 2 if the databases cannot be asked. */
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ledger {
    int64_t committed, applied, lost, applied_twice, out_of_order, invented;
    int64_t money_before, money_after;
};

static PGconn *from, *to;

static void
disconnect(void)
{
    PQfinish(from);
    PQfinish(to);
}

static _Noreturn void
give_up(const PGconn *conn)
{
    (void)fprintf(stderr, "demo_ledger: %s", PQerrorMessage(conn));
    disconnect();
    exit(2);
}

static PGresult *
query(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        PQclear(result);
        give_up(conn);
    }
    return result;
}

static int64_t
integer(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

static int64_t
query_integer(PGconn *conn, const char *sql)
{
    PGresult *result = query(conn, sql);
    const int64_t value = integer(result, 0, 0);
    PQclear(result);
    return value;
}

/* A second booking is a mistake of its own, so only the first of each transfer counts for the order. */
static const char out_of_order_sql[] =
    "with first as ("
    "    select account, sequence, min(number) as number from entry group by account, sequence"
    "), before as ("
    "    select sequence, max(sequence) over ("
    "        partition by account order by number rows between unbounded preceding and 1 preceding"
    "    ) as highest from first"
    ") select count(*) from before where sequence < highest";

static int
compare(const PGresult *a, int a_row, const PGresult *b, int b_row)
{
    for (int column = 0; column < 2; column++) {
        const int64_t left = integer(a, a_row, column), right = integer(b, b_row, column);
        if (left != right) {
            return left < right ? -1 : 1;
        }
    }
    return 0;
}

/* Both lists are sorted and without repetition. */
static void
match(struct ledger *ledger, const PGresult *sent, const PGresult *booked)
{
    int i = 0, j = 0;
    while (i < PQntuples(sent) || j < PQntuples(booked)) {
        const int order = j == PQntuples(booked) ? -1
                          : i == PQntuples(sent) ? 1
                                                 : compare(sent, i, booked, j);
        ledger->lost += order < 0;
        ledger->invented += order > 0;
        i += order <= 0;
        j += order >= 0;
    }
}

static struct ledger
take_stock(void)
{
    struct ledger ledger = {0};
    PGresult *sent =
        query(from, "select account, sequence from transfer order by account, sequence");
    PGresult *booked =
        query(to, "select distinct account, sequence from entry order by account, sequence");
    match(&ledger, sent, booked);
    ledger.committed = PQntuples(sent);
    ledger.applied = query_integer(to, "select count(*) from entry");
    ledger.applied_twice = ledger.applied - PQntuples(booked);
    ledger.out_of_order = query_integer(to, out_of_order_sql);
    PQclear(sent);
    PQclear(booked);
    static const char opening[] = "select total from opening",
                      balance[] = "select sum(balance) from account";
    ledger.money_before = query_integer(from, opening) + query_integer(to, opening);
    ledger.money_after = query_integer(from, balance) + query_integer(to, balance);
    return ledger;
}

static void
print_row(const char *label, int label_length, const char *value)
{
    (void)printf("  %-36.*s %12s\n", label_length, label, value);
}

static void
print_number(const char *label, int64_t number)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%" PRId64, number);
    print_row(label, (int)strlen(label), text);
}

static void
print_table(const struct ledger *ledger, char **pairs)
{
    (void)putchar('\n');
    print_number("transfers committed", ledger->committed);
    print_number("transfers applied", ledger->applied);
    for (; *pairs != NULL; pairs++) {
        const size_t length = strcspn(*pairs, "=");
        print_row(*pairs, (int)length, (*pairs)[length] != '\0' ? *pairs + length + 1 : "");
    }
    print_number("applied though never committed", ledger->invented);
    print_number("money before", ledger->money_before);
    print_number("money after", ledger->money_after);
    (void)printf("\nledger: committed=%" PRId64 " applied=%" PRId64 " lost=%" PRId64
                 " applied_twice=%" PRId64 " out_of_order=%" PRId64 "\n",
                 ledger->committed, ledger->applied, ledger->lost, ledger->applied_twice,
                 ledger->out_of_order);
}

int
main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: demo_ledger FROM_DSN TO_DSN [LABEL=VALUE...]\n");
        return 64;
    }
    from = PQconnectdb(argv[1]);
    to = PQconnectdb(argv[2]);
    if (PQstatus(from) != CONNECTION_OK || PQstatus(to) != CONNECTION_OK) {
        give_up(PQstatus(from) != CONNECTION_OK ? from : to);
    }
    const struct ledger ledger = take_stock();
    print_table(&ledger, argv + 3);
    disconnect();
    const int wrong = ledger.lost != 0 || ledger.applied_twice != 0 || ledger.out_of_order != 0 ||
                      ledger.invented != 0 || ledger.money_before != ledger.money_after;
    return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
