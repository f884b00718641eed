/* ledger.h - how ledger.c asks a bank's database, PostgreSQL in ledger_pg.c, MariaDB or MySQL in ledger_mysql.c. */
#ifndef DEMO_LEDGER_H
#define DEMO_LEDGER_H

#include <stddef.h>
#include <stdint.h>

/* The result of a query: rows of some columns, all of them numbers. */
struct numbers {
    int64_t *values; /* row after row; the caller frees it */
    size_t rows;
};

struct bank {
    const char *name;
    void (*open)(const char *database); /* a connection string of libpq, or an option file */
    struct numbers (*ask)(const char *sql, size_t columns);
    void (*close)(void); /* does nothing if it is not open */
};

extern const struct bank bank_pg, bank_mysql;

/* A bank cannot be asked: says so and ends the program, with status 2. */
_Noreturn void ledger_give_up(const char *why);

#endif
