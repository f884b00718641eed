/* tests/integration/mysql_fixture.h - a private MariaDB database, as pg_fixture.h has for PostgreSQL: any failure here
 * prints the reason and aborts. The server is named by OUTBOX_TEST_MYSQL_HOST, _PORT, _USER and _PASSWORD, a user with
 * all rights; `tests/services/services DIR env` prints them. */
#ifndef TESTS_INTEGRATION_MYSQL_FIXTURE_H
#define TESTS_INTEGRATION_MYSQL_FIXTURE_H

#include <mysql.h>
#include <stdbool.h>
#include <stdint.h>

/* In SQL: the sessions of the server. In MySQL the one gives an error while any session runs a statement that has a character of
 * four bytes, and tests run such. */
#define MYSQL_SESSIONS \
    "/*M! information_schema.processlist */ /*!80022 performance_schema.processlist */"

/* Creates a database and connects to it. One at a time in a process; its name contains the process id, so processes do
 * not collide. */
MYSQL *mysql_fixture_create(void);

/* Closes `conn`, the connection from mysql_fixture_create, if it is not NULL, and drops the database and the user. All
 * other connections to it must be closed, because it would wait for an open transaction. */
void mysql_fixture_drop(MYSQL *conn);

/* Ends all other sessions; and rolls back prepared transactions whose names begin with the database's, because tables
 * cannot be dropped while one of them exists. */
void mysql_fixture_throw_out(MYSQL *conn);
void mysql_fixture_roll_back_prepared(MYSQL *conn);

/* The name of the database, and the relay's dsn for it. Static. */
const char *mysql_fixture_database(void);
const char *mysql_fixture_dsn(void);

/* Another connection to it; close it with mysql_close. mysql_fixture_try_connect returns NULL if it fails. */
MYSQL *mysql_fixture_connect(void);
MYSQL *mysql_fixture_try_connect(void);

/* The same, with flags of mysql_real_connect. */
MYSQL *mysql_fixture_connect_with(unsigned long flags);

/* To the server, without a default database. */
MYSQL *mysql_fixture_connect_nowhere(void);

/* The same to another server, at this port; and makes all later connections go to that server, in any thread. */
MYSQL *mysql_fixture_connect_at(unsigned port);
void mysql_fixture_move(unsigned port);

/* Gives `rights`, such as "select, insert", on a table to a user of the database, which the first call creates. A
 * connection of that user has the rights that were given before it was made. */
#define MYSQL_FIXTURE_USER_PASSWORD "secret"
void mysql_fixture_grant(MYSQL *conn, const char *rights, const char *table);
MYSQL *mysql_fixture_connect_as_user(void);

/* Runs a file, given relative to the source's root: "consumers/mysql/schema.sql". */
void mysql_fixture_load(MYSQL *conn, const char *path);

/* Throws away all of the server's log, and numbers its files from the beginning. */
void mysql_fixture_reset_log(MYSQL *conn);

/* True if the server is MariaDB. MySQL lacks some settings. */
bool mysql_fixture_is_mariadb(MYSQL *conn);

/* Turns off innodb_snapshot_isolation, which is on in MariaDB from 11.6 on, and does not exist in MySQL. */
void mysql_fixture_plain_isolation(MYSQL *conn);

/* Runs one statement, or several if the connection allows that; mysql_fixture_try returns the server's error number
 * instead of aborting. */
void mysql_fixture_exec(MYSQL *conn, const char *sql);
unsigned int mysql_fixture_try(MYSQL *conn, const char *sql);

/* The same, without waiting for its end. */
void mysql_fixture_send(MYSQL *conn, const char *sql);
void mysql_fixture_await_end(MYSQL *conn);

/* The first column of the first row; NULL is 0 or "". The text is valid until the next call in the thread. */
int64_t mysql_fixture_int(MYSQL *conn, const char *sql);
const char *mysql_fixture_text(MYSQL *conn, const char *sql);

/* True if the transaction of the connection with this id (mysql_thread_id) waits for a row. */
bool mysql_fixture_is_blocked(MYSQL *conn, unsigned long thread_id);

/* Returns once the transaction of the connection with this id (mysql_thread_id) waits for a row; aborts after 30 s. */
void mysql_fixture_wait_blocked(MYSQL *conn, unsigned long thread_id);

/* The same for any session in this database. */
void mysql_fixture_wait_any_blocked(MYSQL *conn);

/* Ends the session with this id, and waits until it has ended; aborts after 30 s. */
void mysql_fixture_kill(MYSQL *conn, unsigned long thread_id);

#endif
