/* debit.h - a producer in two parts: debit.c decides when money moves, debit_pg.c or debit_mysql.c moves it in its database. */
#ifndef DEMO_DEBIT_H
#define DEMO_DEBIT_H

#include <outbox/outbox.h>
#include <stdbool.h>
#include <stdint.h>

struct transfer {
    int account;
    int amount;
    int64_t sequence; /* its number within its account, given under the lock on the account */
};

/* The message about a transfer; `message` points into the other members. */
struct announcement {
    struct outbox_message message;
    char key[32];
    char body[128];
};

void debit_announce(const struct transfer *transfer, struct announcement *ret_announcement);

/* ---- debit_pg.c and debit_mysql.c: each says on stderr what went wrong ---- */

/* `database` is what their programs are given as such. */
bool debit_connect(const char *database);

/* Takes the money from the account and says so in the outbox, in one transaction; false: reconnect. Then it may have been
 * committed, if it was the answer that got lost. */
bool debit_transfer(struct transfer *transfer, bool roll_back);

/* Does nothing without a connection. */
void debit_disconnect(void);

#endif
