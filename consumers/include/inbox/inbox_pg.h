/* inbox/inbox_pg.h - the inbox in a PostgreSQL database (13 or newer), with libpq. Read inbox.h first.
 *
 * The claim and the effect commit together, so a message is applied once, whatever fails and whenever. The tables are
 * found by the search_path of the connection. The role needs SELECT and INSERT on inbox, SELECT on inbox_schema, and
 * DELETE on inbox to forget. The calls leave no prepared statement in the session, so they work through a pooler.
 *
 * A unique index on exactly (consumer, message_id) must guard the ids; without it a claim is refused with INBOX_SCHEMA.
 * So the inbox may be partitioned by list or hash of these columns, but not by seen_at. */
#ifndef INBOX_INBOX_PG_H
#define INBOX_INBOX_PG_H

#include <libpq-fe.h>

#include <inbox/inbox.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Claims messages for `consumer` within the transaction that is open on `tx`: one statement and one round trip, however
 * many messages there are. Each is INBOX_FIRST or INBOX_DUPLICATE; if an id comes twice in one call, the second is a
 * duplicate.
 *
 * If another open transaction has claimed one of the messages, the call waits until that one ends: then the message is
 * a duplicate if the other has committed, and the first if it has rolled back. Under REPEATABLE READ and SERIALIZABLE,
 * the result is INBOX_RETRY if there is a duplicate that the transaction cannot see; READ COMMITTED suits best. The
 * wait is limited by the connection's lock_timeout (INBOX_RETRY) if you set one. Ids are claimed in the order of their
 * bytes, so two calls do not deadlock; two transactions that make several calls each can (INBOX_RETRY).
 *
 * tx             in a transaction, idle, not in pipeline mode. consumer       whose inbox. Two consumers that get
 * copies of one message have different names. ids            id_count of them; with none, only tx is checked.
 * ret_verdicts   id_count verdicts in the same order, written on INBOX_OK only. reterr         written on failure only;
 * may be NULL. */
INBOX_API inbox_result inbox_pg_claim_many(PGconn *tx, const char *consumer,
                                           const struct inbox_id *ids, size_t id_count,
                                           inbox_verdict *ret_verdicts,
                                           struct inbox_error *reterr) INBOX_MUST_CHECK;

/* The same for one message. */
INBOX_API inbox_result inbox_pg_claim(PGconn *tx, const char *consumer, const void *message_id,
                                      size_t message_id_length, inbox_verdict *ret_verdict,
                                      struct inbox_error *reterr) INBOX_MUST_CHECK;

/* Records that `consumer` applies version `version` of the thing that `key` names, within the transaction that is open
 * on `tx`, unless it has applied that version or a newer one. This is the guard by state, for messages that carry the
 * whole state of a thing, where an older message may come after a newer one (a replay, a dead-letter queue, two
 * writers). INBOX_FIRST: it is newer, apply it; INBOX_DUPLICATE: this version was applied; INBOX_OUTDATED: a newer one
 * was. You may also claim the message's id. If you did, and the verdict here is not INBOX_FIRST, commit or roll back,
 * then acknowledge.
 *
 * Needs the table of consumers/postgres/schema_newest.sql, with SELECT, INSERT and UPDATE on it. Takes one round trip;
 * one more if the version is not newer.
 *
 * If another open transaction works on the same key, the call waits until that one ends, as a claim does (INBOX_RETRY
 * under REPEATABLE READ). Two transactions that advance several keys each in different orders can deadlock
 * (INBOX_RETRY).
 *
 * tx            as for a claim. version       grows with each change of the thing, such as a column that its writer
 * counts up; gaps are fine. ret_verdict   written on INBOX_OK only. reterr        written on failure only; may be
 * NULL. */
INBOX_API inbox_result inbox_pg_advance(PGconn *tx, const char *consumer, const void *key,
                                        size_t key_length, int64_t version,
                                        inbox_verdict *ret_verdict,
                                        struct inbox_error *reterr) INBOX_MUST_CHECK;

/* Deletes the oldest claims of all consumers that are older than age_s seconds, at most `limit` of them.
 * *ret_forgotten, which may be NULL: how many that were; less than `limit` means that there are no more. Inside a
 * transaction or outside.
 *
 * A message that comes again after it was forgotten is applied again. So the age must be longer than a message can be
 * on its way: in queues, dead-letter queues and parking lots, through the longest outage that you want to survive, and
 * through a replay. A week is usual. After a long stop, drain the queues first, then forget.
 *
 * age_s and limit are at least 1. */
INBOX_API inbox_result inbox_pg_forget(PGconn *conn, uint64_t age_s, uint32_t limit,
                                       uint64_t *ret_forgotten,
                                       struct inbox_error *reterr) INBOX_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
