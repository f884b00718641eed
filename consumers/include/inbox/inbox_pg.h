/* inbox/inbox_pg.h - the inbox in a PostgreSQL database (13 or newer), with libpq. Read inbox.h first.
 *
 * The claim and the effect commit together, so a message is applied once whatever fails, and when. Tables are found by the
 * search_path of the connection. The role needs SELECT and INSERT on inbox, SELECT on inbox_schema, and DELETE on inbox to
 * forget. No prepared statement is left behind, so it works through a pooler.
 *
 * A unique index on exactly (consumer, message_id) must guard the ids; without, a claim is refused with INBOX_SCHEMA. So the
 * inbox may be partitioned by list or hash of these columns, but not by seen_at. */
#ifndef INBOX_INBOX_PG_H
#define INBOX_INBOX_PG_H

#include <libpq-fe.h>

#include <inbox/inbox.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Claims messages for `consumer` within the transaction that is open on `tx`: one statement and one round trip however
 * many there are. Each is INBOX_FIRST or INBOX_DUPLICATE; of an id that comes twice among them, the second is a duplicate.
 *
 * If another open transaction has claimed one of them, the call waits until that one ends: then it is a duplicate if the
 * other has committed, and the first if it has rolled back. Under REPEATABLE READ or SERIALIZABLE, INBOX_RETRY takes the
 * place of a duplicate that the transaction cannot see; READ COMMITTED suits best. The wait is bounded by the
 * connection's lock_timeout (INBOX_RETRY) if you set one. Ids are claimed in their own order, so two calls do not
 * deadlock; two transactions that make several calls each can (INBOX_RETRY).
 *
 * tx             in a transaction, idle, not in pipeline mode.
 * consumer       whose inbox. Two consumers that get copies of one message have different names.
 * ids            id_count of them; none is fine, then only tx is checked.
 * ret_verdicts   id_count verdicts in the same order, written on INBOX_OK only.
 * reterr         written on failure only; may be NULL. */
INBOX_API inbox_result inbox_pg_claim_many(PGconn *tx, const char *consumer,
                                           const struct inbox_id *ids, size_t id_count,
                                           inbox_verdict *ret_verdicts,
                                           struct inbox_error *reterr) INBOX_MUST_CHECK;

/* The same with one message. */
INBOX_API inbox_result inbox_pg_claim(PGconn *tx, const char *consumer, const void *message_id,
                                      size_t message_id_length, inbox_verdict *ret_verdict,
                                      struct inbox_error *reterr) INBOX_MUST_CHECK;

/* Notes that `consumer` applies version `version` of what `key` names, within the transaction that is open on `tx`, unless it
 * has applied that or a newer one: the guard by state, for messages that carry the whole state of something, where an older
 * one may come after a newer (a replay, a dead-letter queue, two writers). INBOX_FIRST: it is newer, apply it;
 * INBOX_DUPLICATE: this version has been applied; INBOX_OUTDATED: a newer one has. With a claim of the message's id or
 * without: after one, and another verdict than INBOX_FIRST, commit or roll back, then acknowledge.
 *
 * Takes the table of consumers/postgres/schema_newest.sql, with SELECT, INSERT and UPDATE on it. One round trip; one more if it is not
 * newer.
 *
 * If another open transaction is at the same key, the call waits until that one ends, as a claim does (INBOX_RETRY under REPEATABLE READ). Two transactions
 * that advance several keys each in different orders can deadlock (INBOX_RETRY).
 *
 * tx            as for a claim.
 * version       grows with each change of the thing, such as a column that its writer counts up; gaps are fine.
 * ret_verdict   written on INBOX_OK only.
 * reterr        written on failure only; may be NULL. */
INBOX_API inbox_result inbox_pg_advance(PGconn *tx, const char *consumer, const void *key,
                                        size_t key_length, int64_t version,
                                        inbox_verdict *ret_verdict,
                                        struct inbox_error *reterr) INBOX_MUST_CHECK;

/* Forgets the oldest claims of all consumers that are older than age_s seconds, at most `limit` of them, and tells how
 * many that were: less than `limit` means that there are no more. Inside a transaction or outside of one.
 *
 * A message that comes again after it was forgotten is applied again. So the age must be longer than a message can be on
 * its way: in queues, dead-letter queues and parking lots, through the longest outage that you want to survive, and
 * through a replay. A week is usual. After a long stop, drain the queues first, then forget.
 *
 * age_s and limit are at least 1; ret_forgotten may be NULL. */
INBOX_API inbox_result inbox_pg_forget(PGconn *conn, uint64_t age_s, uint32_t limit,
                                       uint64_t *ret_forgotten,
                                       struct inbox_error *reterr) INBOX_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
