/* outbox/outbox_mysql.h - writing to the outbox of a MariaDB (10.11 or newer) or MySQL (8.0.22 or newer) database with MariaDB
 * Connector/C or with Oracle's libmysqlclient, each of which talks to both servers. Read outbox.h first.
 *
 * The library is built for one of the two (meson's option mysql_client; Debian's packages: Connector/C). The MYSQL of the
 * other library is a different struct, of which this library would read the wrong bytes. So a program that includes the
 * other's mysql.h does not compile, and the calls refuse its connections (OUTBOX_INVALID). Link the right library instead; the
 * calls have the same names. */
#ifndef OUTBOX_OUTBOX_MYSQL_H
#define OUTBOX_OUTBOX_MYSQL_H

#include <mysql.h>

#ifdef OUTBOX_LIBMYSQLCLIENT /* by pkg-config, if it was built so */
#ifdef MARIADB_PACKAGE_VERSION_ID
#error \
    "this mysql.h is that of MariaDB Connector/C, and liboutbox-mysql was built for libmysqlclient: compile with `pkg-config --cflags --libs outbox-mysql`"
#endif
#elif !defined(MARIADB_PACKAGE_VERSION_ID)
#error \
    "this mysql.h is not that of MariaDB Connector/C, for which liboutbox-mysql was built: compile with `pkg-config --cflags --libs outbox-mysql`"
#endif

#include <outbox/outbox.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes messages to table outbox, in the order of the array, within the transaction that is open on `tx`: one statement
 * however many there are, and all of them or none. A message that breaks a rule is refused before anything is sent. Tables
 * are found in the default database of the connection. The account needs INSERT on outbox and SELECT on outbox_schema,
 * nothing else. Neither sql_mode nor the character set or the time zone of the session matters. No prepared statement is left
 * behind.
 *
 * It takes two round trips, with autocommit off three. Before the write it asks for the version of the tables, and whether the
 * transaction is still open: if the server has rolled it back because of a deadlock and the application missed the error, only
 * the next answer of the server says so. (With autocommit off the application's next statement begins another transaction. If
 * that statement came before this call, the loss cannot be noticed.) It locks the row of outbox_schema against changes until
 * the end of the transaction, as the write locks the table.
 *
 * tx             in a transaction (START TRANSACTION, or autocommit off), idle. Works with MYSQL_OPT_RECONNECT: a transaction
 *                is never continued on another connection.
 * messages       message_count of them, all with the same struct_size; none is fine, then only tx is checked.
 * ret_ids        message_count ids in the same order, written on OUTBOX_OK only; may be NULL.
 * reterr         written on failure only; may be NULL. Other than on PostgreSQL, a transaction goes on after an error
 *                with a sqlstate, and only this statement is undone; but not after OUTBOX_RETRY, see there.
 *
 * OUTBOX_INVALID also means: the connection is busy with a command (a result not read); a deliver_after_us beyond the year
 * 9999; more than the server's max_allowed_packet in one call (where each byte counts twice): nothing was sent, and the
 * message says how much that is.
 * OUTBOX_NO_TRANSACTION also means: the server has rolled back the transaction that the application believes to be open.
 * OUTBOX_RETRY: after a deadlock (1213) the server has rolled back the whole transaction, after a lock wait timeout (1205)
 * only this statement, unless innodb_rollback_on_timeout is on. Call mysql_rollback in both cases, and run all of it again.
 * OUTBOX_CONNECTION: the server rolls the transaction back; nothing of it is committed. */
OUTBOX_API outbox_result outbox_mysql_write_many(MYSQL *tx, const struct outbox_message *messages,
                                                 size_t message_count, struct outbox_id *ret_ids,
                                                 struct outbox_error *reterr) OUTBOX_MUST_CHECK;

/* The same with one message. */
OUTBOX_API outbox_result outbox_mysql_write(MYSQL *tx, const struct outbox_message *message,
                                            struct outbox_id *ret_id,
                                            struct outbox_error *reterr) OUTBOX_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
