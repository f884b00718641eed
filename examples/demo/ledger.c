/* ledger.c - is all the money there? Compares what each bank has sent with what the other has booked, and asks nobody but the
 * two databases.
 *
 *     demo_ledger DSN OPTION_FILE [LABEL=VALUE…]      the pairs are shown in the table too
 *
 * lost            transfers committed in one bank and never booked in the other
 * applied_twice   bookings of a transfer after its first
 * out_of_order    transfers booked, for the first time, after a later one of the same account
 * invented        bookings of transfers that were never committed
 *
 * Exit 0 if all of these are 0 and no money has come or gone, else 1; 2 if a database cannot be asked. */
#include "ledger.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ledger {
    int64_t committed, applied, lost, applied_twice, out_of_order, invented;
};

static const struct bank *const banks[] = {&bank_pg, &bank_mysql};

static void
close_banks(void)
{
    banks[0]->close();
    banks[1]->close();
}

void
ledger_give_up(const char *why)
{
    (void)fprintf(stderr, "demo_ledger: %s\n", why);
    close_banks();
    exit(2);
}

static struct numbers
ask(const struct bank *bank, const char *sql, size_t columns)
{
    const struct numbers numbers = bank->ask(sql, columns);
    if (numbers.values == NULL) {
        ledger_give_up("no memory");
    }
    return numbers;
}

static int64_t
ask_one(const struct bank *bank, const char *sql)
{
    struct numbers numbers = ask(bank, sql, 1);
    const int64_t value = numbers.values[0];
    free(numbers.values);
    return value;
}

/* A second booking is an error of another kind, so only the first one of each transfer counts for the order. */
static const char out_of_order_sql[] =
    "with once as ("
    "    select account, sequence, min(number) as number from entry group by account, sequence"
    "), earlier as ("
    "    select sequence, max(sequence) over ("
    "        partition by account order by number rows between unbounded preceding and 1 preceding"
    "    ) as highest from once"
    ") select count(*) from earlier where sequence < highest";

static int
compare(const int64_t *a, const int64_t *b)
{
    for (int column = 0; column < 2; column++) {
        if (a[column] != b[column]) {
            return a[column] < b[column] ? -1 : 1;
        }
    }
    return 0;
}

/* Both lists are sorted and without repetition. */
static void
match(struct ledger *ledger, const struct numbers *sent, const struct numbers *booked)
{
    size_t i = 0, j = 0;
    while (i < sent->rows || j < booked->rows) {
        const int order = j == booked->rows ? -1
                          : i == sent->rows ? 1
                                            : compare(&sent->values[2 * i], &booked->values[2 * j]);
        ledger->lost += order < 0;
        ledger->invented += order > 0;
        i += order <= 0;
        j += order >= 0;
    }
}

/* Of the transfers from one bank to the other. */
static struct ledger
take_stock(const struct bank *from, const struct bank *to)
{
    struct ledger ledger = {0};
    struct numbers sent =
        ask(from, "select account, sequence from transfer order by account, sequence", 2);
    struct numbers booked =
        ask(to, "select distinct account, sequence from entry order by account, sequence", 2);
    match(&ledger, &sent, &booked);
    ledger.committed = (int64_t)sent.rows;
    ledger.applied = ask_one(to, "select count(*) from entry");
    ledger.applied_twice = ledger.applied - (int64_t)booked.rows;
    ledger.out_of_order = ask_one(to, out_of_order_sql);
    free(sent.values);
    free(booked.values);
    return ledger;
}

static int64_t
in_both(const char *sql)
{
    return ask_one(banks[0], sql) + ask_one(banks[1], sql);
}

static void
print_row(const char *label, int label_length, const char *value)
{
    (void)printf("  %-44.*s %12s\n", label_length, label, value);
}

static void
print_number(const char *label, int64_t number)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%" PRId64, number);
    print_row(label, (int)strlen(label), text);
}

static void
print_direction(const struct ledger *ledger, const struct bank *from, const struct bank *to)
{
    (void)printf("\n  from %s to %s\n", from->name, to->name);
    print_number("transfers committed", ledger->committed);
    print_number("transfers applied", ledger->applied);
    print_number("lost", ledger->lost);
    print_number("applied twice", ledger->applied_twice);
    print_number("applied out of order", ledger->out_of_order);
    print_number("applied though never committed", ledger->invented);
}

static void
print_pairs(char **pairs)
{
    (void)putchar('\n');
    for (; *pairs != NULL; pairs++) {
        const size_t length = strcspn(*pairs, "=");
        print_row(*pairs, (int)length, (*pairs)[length] != '\0' ? *pairs + length + 1 : "");
    }
}

static void
add(struct ledger *sum, const struct ledger *other)
{
    sum->committed += other->committed;
    sum->applied += other->applied;
    sum->lost += other->lost;
    sum->applied_twice += other->applied_twice;
    sum->out_of_order += other->out_of_order;
    sum->invented += other->invented;
}

/* The last line is for scripts, and counts both directions. */
static bool
audit(char **pairs)
{
    struct ledger sum = {0};
    for (int i = 0; i < 2; i++) {
        const struct ledger ledger = take_stock(banks[i], banks[1 - i]);
        print_direction(&ledger, banks[i], banks[1 - i]);
        add(&sum, &ledger);
    }
    const int64_t before = in_both("select total from opening");
    const int64_t after = in_both("select sum(balance) from account");
    print_pairs(pairs);
    print_number("money before", before);
    print_number("money after", after);
    (void)printf("\nledger: committed=%" PRId64 " applied=%" PRId64 " lost=%" PRId64
                 " applied_twice=%" PRId64 " out_of_order=%" PRId64 "\n",
                 sum.committed, sum.applied, sum.lost, sum.applied_twice, sum.out_of_order);
    return sum.lost == 0 && sum.applied_twice == 0 && sum.out_of_order == 0 && sum.invented == 0 &&
           before == after;
}

int
main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: demo_ledger DSN OPTION_FILE [LABEL=VALUE...]\n");
        return 64;
    }
    banks[0]->open(argv[1]);
    banks[1]->open(argv[2]);
    const bool good = audit(argv + 3);
    close_banks();
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
