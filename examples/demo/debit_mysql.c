/* debit_mysql.c - a producer for MariaDB and MySQL. `database` is an option file, as the program `mariadb` takes one. */
#include <outbox/outbox_mysql.h>
#include <stdio.h>
#include <stdlib.h>

#include "debit.h"

static MYSQL *conn;

bool
debit_connect(const char *database)
{
    conn = mysql_init(NULL);
    if (conn == NULL) {
        abort(); /* no memory */
    }
    if (mysql_options(conn, MYSQL_READ_DEFAULT_FILE, database) != 0 ||
        mysql_real_connect(conn, NULL, NULL, NULL, NULL, 0, NULL, 0) == NULL) {
        (void)fprintf(stderr, "%s\n", mysql_error(conn));
        return false;
    }
    return true;
}

void
debit_disconnect(void)
{
    mysql_close(conn);
    conn = NULL;
}

static bool
execute(const char *sql)
{
    const bool done = mysql_query(conn, sql) == 0;
    if (!done) {
        (void)fprintf(stderr, "%s: %s\n", sql, mysql_error(conn));
    }
    return done;
}

/* last_insert_id(…) keeps a number in the session, for the next statement and for us. Only numbers go into the statements, so
 * there is nothing to escape. */
static bool
debit(struct transfer *transfer)
{
    char update[200], insert[200];
    (void)snprintf(update, sizeof(update),
                   "update account set balance = balance - %d,"
                   " sequence = last_insert_id(sequence + 1) where id = %d",
                   transfer->amount, transfer->account);
    (void)snprintf(insert, sizeof(insert),
                   "insert into transfer (account, sequence, amount)"
                   " values (%d, last_insert_id(), %d)",
                   transfer->account, transfer->amount);
    if (!execute(update)) {
        return false;
    }
    transfer->sequence = (int64_t)mysql_insert_id(conn);
    return execute(insert);
}

/* The message, in the same transaction as the debit, so that both are committed or neither. */
static bool
announce(const struct transfer *transfer)
{
    struct announcement announcement;
    struct outbox_error error;
    debit_announce(transfer, &announcement);
    if (outbox_mysql_write(conn, &announcement.message, NULL, &error) != OUTBOX_OK) {
        (void)fprintf(stderr, "outbox: %s\n", error.message);
        return false;
    }
    return true;
}

bool
debit_transfer(struct transfer *transfer, bool roll_back)
{
    return execute("start transaction") && debit(transfer) && announce(transfer) &&
           execute(roll_back ? "rollback" : "commit");
}
