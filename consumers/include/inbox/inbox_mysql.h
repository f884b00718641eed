/* inbox/inbox_mysql.h - the inbox in a MariaDB (10.11 or newer) or MySQL (8.0.22 or newer) database, with MariaDB
 * Connector/C, or with Oracle's libmysqlclient. Read inbox.h first.
 *
 * The claim and the effect commit together, so a message is applied once, whatever fails and whenever. The tables are
 * in the connection's default database. The user needs SELECT and INSERT on inbox, SELECT on inbox_schema, and DELETE
 * on inbox to forget. The calls leave nothing in the session: no prepared statement, no variable.
 *
 * Names of consumers and ids are compared byte by byte, and are sent to the server as bytes: the character set of the
 * connection, collations and sql_mode do not matter. So in plain SQL use utf8mb4 for the connection, or the same id may
 * become other bytes.
 *
 * After any failure of a claim the transaction must be rolled back, as inbox.h says. This matters more than with
 * PostgreSQL, because here the server goes on after an error. What it has rolled back itself:
 *     1213, deadlock (INBOX_RETRY)             the whole transaction, also what was done before the claim; what follows is outside
 *                                              of it, and with autocommit is committed at once
 *     1205, lock wait timeout (INBOX_RETRY)    only the statement; the whole transaction with innodb_rollback_on_timeout
 *     a lost connection (INBOX_CONNECTION)     the whole transaction
 *     any other error                          only the statement */
#ifndef INBOX_INBOX_MYSQL_H
#define INBOX_INBOX_MYSQL_H

#include <mysql.h>

#include <inbox/inbox.h>

/* The library is built for one of the two client libraries (meson's option mysql_client; Debian's packages:
 * Connector/C). The MYSQL of the other one is a different struct, of which this library would read the wrong bytes. So
 * a program that includes the other's mysql.h does not compile, and the calls refuse its connections (INBOX_INVALID).
 * Link the right library instead: the calls have the same names, and each library works with both servers. */
#ifdef OUTBOX_LIBMYSQLCLIENT /* set by pkg-config if the library was built for it */
#ifdef MARIADB_PACKAGE_VERSION_ID
#error \
    "this mysql.h is that of MariaDB Connector/C, and libinbox-mysql was built for libmysqlclient: compile with `pkg-config --cflags --libs inbox-mysql`"
#endif
#elif !defined(MARIADB_PACKAGE_VERSION_ID)
#error \
    "this mysql.h is not that of MariaDB Connector/C, for which libinbox-mysql was built: compile with `pkg-config --cflags --libs inbox-mysql`"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The inbox of one database whose tables were checked. It never changes: one for all threads and connections of the
 * process is enough. */
typedef struct inbox_mysql inbox_mysql;

/* Checks the tables in the default database of `conn`, inside a transaction or outside. INBOX_SCHEMA, with a message
 * that says what to do, unless
 *     their version is INBOX_SCHEMA_VERSION,
 *     inbox is an InnoDB table: others have no transactions,
 *     its primary key is (consumer, message_id), with whole and no other columns: it guards the ids. So the inbox may be
 *     partitioned by list, hash or key of these two, but not by seen_at;
 *     these two are varbinary(255) or longer: they compare bytewise, and nothing is cut.
 * If there is a table inbox_newest, for inbox_mysql_advance, the same is required of it: its primary key is (consumer,
 * message_key), of 255 and 1024 bytes. *ret_inbox is written on INBOX_OK only; free it with inbox_mysql_free. */
INBOX_API inbox_result inbox_mysql_new(MYSQL *conn, inbox_mysql **ret_inbox,
                                       struct inbox_error *reterr) INBOX_MUST_CHECK;

/* Takes NULL. Does not touch connections. */
INBOX_API void inbox_mysql_free(inbox_mysql *inbox);

/* Claims messages for `consumer` within the transaction that is open on `tx`. Each is INBOX_FIRST or INBOX_DUPLICATE;
 * if an id comes twice in one call, the second is a duplicate. Takes one round trip, and for each 200 messages one
 * more, or three if there are duplicates among them.
 *
 * The server is asked whether a transaction is open, since the client does not know it after an error. With autocommit
 * off there always is one.
 *
 * If another open transaction has claimed one of the messages, the call waits until that one ends: then the message is
 * a duplicate if the other has committed, and the first if it has rolled back (if several wait for it, INBOX_RETRY for
 * all but one). A duplicate is found at every isolation level, also where the transaction cannot see its row. Only with
 * innodb_snapshot_isolation (the default from MariaDB 11.6 on) INBOX_RETRY may take its place, under SERIALIZABLE, and
 * under REPEATABLE READ after an earlier read. READ COMMITTED suits best: the other levels also lock the gaps between
 * ids, which makes deadlocks between consumers of the same name. The claim itself does not create the transaction's
 * snapshot, so what is read after it is newer than the wait. The wait is limited by the session's
 * innodb_lock_wait_timeout, 50 s unless you set it (INBOX_RETRY). Ids are claimed in the order of their bytes, so two
 * calls do not deadlock; two transactions that make several calls each can (INBOX_RETRY).
 *
 * inbox          made in the database that is the default of `tx` (else INBOX_SCHEMA). tx             in a transaction,
 * with all results of earlier statements read. consumer       whose inbox. Two consumers that get copies of one message
 * have different names. ids            id_count of them; with none, only tx and the version of the tables are checked.
 * ret_verdicts   id_count verdicts in the same order, written on INBOX_OK only. reterr         written on failure only;
 * may be NULL. */
INBOX_API inbox_result inbox_mysql_claim_many(const inbox_mysql *inbox, MYSQL *tx,
                                              const char *consumer, const struct inbox_id *ids,
                                              size_t id_count, inbox_verdict *ret_verdicts,
                                              struct inbox_error *reterr) INBOX_MUST_CHECK;

/* The same for one message. */
INBOX_API inbox_result inbox_mysql_claim(const inbox_mysql *inbox, MYSQL *tx, const char *consumer,
                                         const void *message_id, size_t message_id_length,
                                         inbox_verdict *ret_verdict,
                                         struct inbox_error *reterr) INBOX_MUST_CHECK;

/* Records that `consumer` applies version `version` of the thing that `key` names, within the transaction that is open
 * on `tx`, unless it has applied that version or a newer one. This is the guard by state, for messages that carry the
 * whole state of a thing, where an older message may come after a newer one (a replay, a dead-letter queue, two
 * writers). INBOX_FIRST: it is newer, apply it; INBOX_DUPLICATE: this version was applied; INBOX_OUTDATED: a newer one
 * was. You may also claim the message's id. If you did, and the verdict here is not INBOX_FIRST, commit or roll back,
 * then acknowledge.
 *
 * Needs the table of consumers/mysql/schema_newest.sql, with SELECT, INSERT and UPDATE on it. Takes two round trips;
 * one or two more for a new key, or if the version is not newer.
 *
 * If another open transaction works on the same key, the call waits until that one ends, as a claim does. Two
 * transactions that advance several keys each in different orders can deadlock (INBOX_RETRY).
 *
 * inbox, tx     as for a claim; inbox_mysql_new must have found the table (else INBOX_SCHEMA). version       grows with
 * each change of the thing, such as a column that its writer counts up; gaps are fine. ret_verdict   written on
 * INBOX_OK only. reterr        written on failure only; may be NULL. */
INBOX_API inbox_result inbox_mysql_advance(const inbox_mysql *inbox, MYSQL *tx,
                                           const char *consumer, const void *key, size_t key_length,
                                           int64_t version, inbox_verdict *ret_verdict,
                                           struct inbox_error *reterr) INBOX_MUST_CHECK;

/* Deletes the oldest claims of all consumers that are older than age_s seconds, at most `limit` of them.
 * *ret_forgotten, which may be NULL: how many that were; less than `limit` means that there are no more. Inside a
 * transaction or outside. Outside is better, with a limit of some thousands, because the deleted rows stay locked until
 * the end, and claims of the same ids wait for them.
 *
 * A message that comes again after it was forgotten is applied again. So the age must be longer than a message can be
 * on its way: in queues, dead-letter queues and parking lots, through the longest outage that you want to survive, and
 * through a replay. A week is usual. After a long stop, drain the queues first, then forget.
 *
 * age_s and limit are at least 1. */
INBOX_API inbox_result inbox_mysql_forget(const inbox_mysql *inbox, MYSQL *conn, uint64_t age_s,
                                          uint32_t limit, uint64_t *ret_forgotten,
                                          struct inbox_error *reterr) INBOX_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
