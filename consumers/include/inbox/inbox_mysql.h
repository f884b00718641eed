/* inbox/inbox_mysql.h - the inbox in a MariaDB (10.11 or newer) or MySQL (8.0.22 or newer) database, with MariaDB Connector/C,
 * or with Oracle's libmysqlclient. Read inbox.h first.
 *
 * The claim and the effect commit together, so a message is applied once whatever fails, and when. Tables are those of the
 * connection's default database. The user needs SELECT and INSERT on inbox, SELECT on inbox_schema, and DELETE on inbox to
 * forget. Nothing is left behind in the session: no prepared statement, no variable.
 *
 * Names of consumers and ids are compared byte by byte, and go to the server as bytes: the character set of the connection,
 * collations and sql_mode do not matter. So in plain SQL use utf8mb4 for the connection, or the same id may be other bytes.
 *
 * After any failure of a claim the transaction must be rolled back, as inbox.h says. It matters more than with PostgreSQL,
 * because the server goes on after an error. What it has rolled back by itself:
 *     1213, deadlock (INBOX_RETRY)             the whole transaction, also what was done before the claim; what follows is outside
 *                                              of it, and with autocommit is committed at once
 *     1205, lock wait timeout (INBOX_RETRY)    the one statement; the whole transaction with innodb_rollback_on_timeout
 *     a lost connection (INBOX_CONNECTION)     the whole transaction
 *     anything else                            the one statement */
#ifndef INBOX_INBOX_MYSQL_H
#define INBOX_INBOX_MYSQL_H

#include <mysql.h>

#include <inbox/inbox.h>

/* The library is built for one of the two (meson's option mysql_client; Debian's packages: Connector/C). The MYSQL of the
 * other library is a different struct, of which this library would read the wrong bytes. So a program that includes the
 * other's mysql.h does not compile, and the calls refuse its connections (INBOX_INVALID). Link the right library instead: the
 * calls have the same names, and each library talks to both servers. */
#ifdef OUTBOX_LIBMYSQLCLIENT /* by pkg-config, if it was built so */
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

/* The inbox of one database, once its tables are known to be right. Nothing in it changes: one for all threads and
 * connections of the process is enough. */
typedef struct inbox_mysql inbox_mysql;

/* Looks at the tables in the default database of `conn`, inside a transaction or outside of one. INBOX_SCHEMA, with words that
 * say what to do, unless
 *     their version is INBOX_SCHEMA_VERSION,
 *     inbox is an InnoDB table: others have no transactions,
 *     its primary key is (consumer, message_id), whole and without other columns: it guards the ids. So the inbox may be
 *     partitioned by list, hash or key of these two, but not by seen_at;
 *     these two are varbinary(255) or longer: they compare bytewise, and nothing is cut.
 * If there is a table inbox_newest, for inbox_mysql_advance, the same is asked of it: its primary key is (consumer,
 * message_key), of 255 and 1024 bytes. Free it with inbox_mysql_free. */
INBOX_API inbox_result inbox_mysql_new(MYSQL *conn, inbox_mysql **ret_inbox,
                                       struct inbox_error *reterr) INBOX_MUST_CHECK;

/* NULL is fine. Leaves connections alone. */
INBOX_API void inbox_mysql_free(inbox_mysql *inbox);

/* Claims messages for `consumer` within the transaction that is open on `tx`. Each is INBOX_FIRST or INBOX_DUPLICATE; of an id
 * that comes twice among them, the second is a duplicate. One round trip, and one more for each 200 messages, or three if there
 * are duplicates among these.
 *
 * The server is asked whether a transaction is open, since the client does not know it after an error. With autocommit off
 * there always is one.
 *
 * If another open transaction has claimed one of them, the call waits until that one ends: then it is a duplicate if the
 * other has committed, and the first if it has rolled back (if several wait for it, INBOX_RETRY for all but one). A duplicate is
 * found at every isolation level, also where the transaction cannot see it. Only with innodb_snapshot_isolation (the default from
 * MariaDB 11.6 on) INBOX_RETRY may take its place, under SERIALIZABLE, and under REPEATABLE READ after an earlier read.
 * READ COMMITTED suits best: the others lock the gaps between ids as well, which makes deadlocks between consumers of the
 * same name. The claim itself does not fix what the transaction sees, so what is read after it is newer than the wait. The
 * wait is bounded by the session's innodb_lock_wait_timeout, 50 s unless you set it (INBOX_RETRY). Ids are claimed in their
 * own order, so two calls do not deadlock; two transactions that make several calls each can (INBOX_RETRY).
 *
 * inbox          made in the database that is the default of `tx` (INBOX_SCHEMA).
 * tx             in a transaction, all results of earlier statements read.
 * consumer       whose inbox. Two consumers that get copies of one message have different names.
 * ids            id_count of them; none is fine, then only tx and the tables' version are checked.
 * ret_verdicts   id_count verdicts in the same order, written on INBOX_OK only.
 * reterr         written on failure only; may be NULL. */
INBOX_API inbox_result inbox_mysql_claim_many(const inbox_mysql *inbox, MYSQL *tx,
                                              const char *consumer, const struct inbox_id *ids,
                                              size_t id_count, inbox_verdict *ret_verdicts,
                                              struct inbox_error *reterr) INBOX_MUST_CHECK;

/* The same with one message. */
INBOX_API inbox_result inbox_mysql_claim(const inbox_mysql *inbox, MYSQL *tx, const char *consumer,
                                         const void *message_id, size_t message_id_length,
                                         inbox_verdict *ret_verdict,
                                         struct inbox_error *reterr) INBOX_MUST_CHECK;

/* Notes that `consumer` applies version `version` of what `key` names, within the transaction that is open on `tx`, unless it
 * has applied that or a newer one: the guard by state, for messages that carry the whole state of something, where an older
 * one may come after a newer (a replay, a dead-letter queue, two writers). INBOX_FIRST: it is newer, apply it;
 * INBOX_DUPLICATE: this version has been applied; INBOX_OUTDATED: a newer one has. With a claim of the message's id or
 * without: after one, and another verdict than INBOX_FIRST, commit or roll back, then acknowledge.
 *
 * Takes the table of consumers/mysql/schema_newest.sql, with SELECT, INSERT and UPDATE on it. Two round trips; one or two
 * more for a new key, or if it is not newer.
 *
 * If another open transaction is at the same key, the call waits until that one ends, as a claim does. Two transactions
 * that advance several keys each in different orders can deadlock (INBOX_RETRY).
 *
 * inbox, tx     as for a claim; `inbox` was made when the table was there already (INBOX_SCHEMA).
 * version       grows with each change of the thing, such as a column that its writer counts up; gaps are fine.
 * ret_verdict   written on INBOX_OK only.
 * reterr        written on failure only; may be NULL. */
INBOX_API inbox_result inbox_mysql_advance(const inbox_mysql *inbox, MYSQL *tx,
                                           const char *consumer, const void *key, size_t key_length,
                                           int64_t version, inbox_verdict *ret_verdict,
                                           struct inbox_error *reterr) INBOX_MUST_CHECK;

/* Forgets the oldest claims of all consumers that are older than age_s seconds, at most `limit` of them, and tells how
 * many that were: less than `limit` means that there are no more. Inside a transaction or outside of one; outside is better,
 * with a limit of some thousands, because what is deleted is locked until the end, and claims of the same ids wait for it.
 *
 * A message that comes again after it was forgotten is applied again. So the age must be longer than a message can be on
 * its way: in queues, dead-letter queues and parking lots, through the longest outage that you want to survive, and
 * through a replay. A week is usual. After a long stop, drain the queues first, then forget.
 *
 * age_s and limit are at least 1; ret_forgotten may be NULL. */
INBOX_API inbox_result inbox_mysql_forget(const inbox_mysql *inbox, MYSQL *conn, uint64_t age_s,
                                          uint32_t limit, uint64_t *ret_forgotten,
                                          struct inbox_error *reterr) INBOX_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
