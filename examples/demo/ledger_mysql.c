#include <mysql.h>
#include <stdlib.h>

#include "ledger.h"

static MYSQL *conn;

static void
open_bank(const char *option_file)
{
    conn = mysql_init(NULL);
    if (conn == NULL || mysql_options(conn, MYSQL_READ_DEFAULT_FILE, option_file) != 0 ||
        mysql_real_connect(conn, NULL, NULL, NULL, NULL, 0, NULL, 0) == NULL) {
        ledger_give_up(conn != NULL ? mysql_error(conn) : "no memory");
    }
}

static struct numbers
ask(const char *sql, size_t columns)
{
    MYSQL_RES *result = mysql_query(conn, sql) == 0 ? mysql_store_result(conn) : NULL;
    if (result == NULL) {
        ledger_give_up(mysql_error(conn));
    }
    struct numbers numbers = {.rows = (size_t)mysql_num_rows(result)};
    numbers.values = calloc(numbers.rows * columns + 1, sizeof(*numbers.values));
    for (size_t i = 0; numbers.values != NULL && i < numbers.rows; i++) {
        MYSQL_ROW row = mysql_fetch_row(result);
        for (size_t column = 0; column < columns; column++) {
            numbers.values[i * columns + column] = strtoll(row[column], NULL, 10);
        }
    }
    mysql_free_result(result);
    return numbers;
}

static void
close_bank(void)
{
    mysql_close(conn);
    conn = NULL;
}

const struct bank bank_mysql = {"MariaDB", open_bank, ask, close_bank};
