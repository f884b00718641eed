/* tests/bench/mysql_bare.h - the bare loops with MariaDB's client library, see bench.h. */
#ifndef MYSQL_BARE_H
#define MYSQL_BARE_H

#include <mysql.h>
#include <stdint.h>

void bench_mysql_read_and_delete(int64_t rows);
void bench_mysql_bare_poll(int64_t messages);
void bench_mysql_bare_tail(int64_t messages);

/* The bare loop of the log reads what is written between these two. */
void bench_mysql_mark_log(MYSQL *conn);
void bench_mysql_mark_log_end(MYSQL *conn);

#endif
