/* The bench's database in MariaDB or MySQL. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/bench.h"
#include "tests/bench/mysql_bare.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/outbox_mysql_fixture.h"

#define ROWS_A_STATEMENT 1000
#define ROW_BYTES_MAX 128

static MYSQL *own;
static bool tuned; /* the server has the settings of the bench */

/* The private servers have small values here, for the sake of tests. The bench uses values as in production: the rows
 * fit into memory, and the log is one file. */
static struct setting {
    const char *name;
    int64_t value;
    bool on_mariadb;
    bool on_mysql;
    int64_t before;
} settings[] = {
    {"innodb_buffer_pool_size", 512 << 20, true, true, 0},
    {"innodb_log_file_size", 512 << 20, true, false, 0},
    {"innodb_redo_log_capacity", 512 << 20, false, true, 0},
    {"max_binlog_size", 1 << 30, true, true, 0},
};

static void __attribute__((format(printf, 1, 2))) run(const char *format, ...)
{
    char sql[500];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sql, sizeof(sql), format, arguments);
    va_end(arguments);
    mysql_fixture_exec(own, sql);
}

static int64_t
global(const char *name)
{
    char sql[100];
    (void)snprintf(sql, sizeof(sql), "select @@global.%s", name);
    return mysql_fixture_int(own, sql);
}

static void
set_global(const char *name, int64_t value)
{
    run("set global %s = %lld", name, (long long)value);
}

static bool
has(const struct setting *setting)
{
    return mysql_fixture_is_mariadb(own) ? setting->on_mariadb : setting->on_mysql;
}

static void
create(void)
{
    own = mysql_fixture_create();
    outbox_mysql_fixture_load(own);
    outbox_mysql_fixture_load_relay(own);
}

static void
tune(void)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        if (has(&settings[i])) {
            settings[i].before = global(settings[i].name);
            set_global(settings[i].name, settings[i].value);
        }
    }
    tuned = true;
}

static void
drop(void)
{
    for (size_t i = 0; tuned && i < sizeof(settings) / sizeof(settings[0]); i++) {
        if (has(&settings[i])) {
            set_global(settings[i].name, settings[i].before);
        }
    }
    mysql_fixture_drop(own);
    tuned = false;
}

/* Without TLS, like the bare loops and everything with PostgreSQL. The private MariaDB offers TLS, which is used unless
 * the dsn says otherwise. */
static const char *
make_dsn(void)
{
    static char dsn[500];
    (void)snprintf(dsn, sizeof(dsn), "%s dbname=%s sslmode=disable",
                   bench_env("OUTBOX_TEST_MYSQL_DSN"), mysql_fixture_database());
    return dsn;
}

static void
empty(void)
{
    run("truncate outbox");
    run("truncate outbox_held");
    run("truncate outbox_held_act");
}

/* Inserts rows from `first` on in one statement; their ids are the same numbers. */
static void
insert(int64_t first, int64_t rows)
{
    static char sql[200 + ROWS_A_STATEMENT * ROW_BYTES_MAX];
    const char *const end = sql + sizeof(sql); /* there is room: see ROW_BYTES_MAX */
    char *at = sql;
    at += snprintf(at, (size_t)(end - at),
                   "insert into outbox (routing_key, `key`, payload) values ");
    for (int64_t i = first; i < first + rows; i++) {
        at += snprintf(at, (size_t)(end - at),
                       "%s('" BENCH_QUEUE "', '%lld', concat(x'%016llx', repeat(x'%x', %d)))",
                       i > first ? "," : "", (long long)(i % BENCH_KEYS), (unsigned long long)i,
                       BENCH_FILLER, BENCH_PAYLOAD_BYTES - 8);
    }
    mysql_fixture_exec(own, sql);
}

static void
insert_in_one_transaction(int64_t rows)
{
    run("start transaction");
    for (int64_t i = 0; i < rows; i += ROWS_A_STATEMENT) {
        insert(i + 1, ROWS_A_STATEMENT); /* the number of rows is always a multiple of it */
    }
    run("commit");
}

/* Afterwards `settle` writes all of it to the disk. */
static void
insert_in_many_transactions(int64_t rows)
{
    const int64_t flush = global("innodb_flush_log_at_trx_commit"), sync = global("sync_binlog");
    set_global("innodb_flush_log_at_trx_commit", 0);
    set_global("sync_binlog", 0);
    for (int64_t i = 0; i < rows; i++) {
        insert(i + 1, 1);
    }
    set_global("innodb_flush_log_at_trx_commit", flush);
    set_global("sync_binlog", sync);
}

/* Waits until the pages are written, and updates the statistics of the tables. Nothing of this goes to the log. */
static void
settle(void)
{
    run("flush local tables outbox for export");
    run("unlock tables");
    run("do (select count(*) from outbox)");
}

static void
fill(int64_t rows)
{
    empty();
    insert_in_one_transaction(rows);
    settle();
}

static bool
is_empty(void)
{
    return mysql_fixture_int(own, "select exists(select 1 from outbox)") == 0;
}

/* The server's process, from its file; 0: not known. */
static pid_t
server_process(const char *path)
{
    char line[40] = "";
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        line[fread(line, 1, sizeof(line) - 1, file)] = '\0';
        (void)fclose(file); /* it was only read */
    }
    return (pid_t)strtol(line, NULL, 10);
}

static double
server_cpu_us(void)
{
    const char *path = mysql_fixture_text(own, "select @@pid_file");
    const pid_t process = server_process(path);
    if (process <= 0) {
        bench_fail("%s does not tell the server's process", path);
    }
    return bench_family_cpu_us(process);
}

static void
mark_log(void)
{
    run("flush local binary logs");
    bench_mysql_mark_log(own);
}

static void
write_log(int64_t rows, enum bench_transactions transactions)
{
    if (transactions == BENCH_ONE_TRANSACTION) {
        insert_in_one_transaction(rows);
    } else {
        insert_in_many_transactions(rows);
    }
    settle();
    bench_mysql_mark_log_end(own);
}

/* A thread of the server sends the log, and it cannot be stopped alone. While the relay is stopped, a few MB of the log
 * fit into the socket, and no more comes. */
static pid_t
log_holder(pid_t relay)
{
    return relay;
}

const struct bench_database bench_mysql = {
    .kind = "mysql",
    .prefix = "mysql-",
    .dsn = make_dsn,
    .create = create,
    .tune = tune,
    .drop = drop,
    .empty = empty,
    .fill = fill,
    .is_empty = is_empty,
    .server_cpu_us = server_cpu_us,
    .mark_log = mark_log,
    .write_log = write_log,
    .log_holder = log_holder,
    .read_and_delete = bench_mysql_read_and_delete,
    .bare_poll = bench_mysql_bare_poll,
    .bare_tail = bench_mysql_bare_tail,
};
