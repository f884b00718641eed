/* tests/integration/inbox_fixture.h - libinbox-pg for PostgreSQL and libinbox-mysql for MariaDB and MySQL by the same
 * calls, with a connection of db_fixture.h. inbox_fixture_create also creates the handle that libinbox-mysql needs. */
#ifndef TESTS_INTEGRATION_INBOX_FIXTURE_H
#define TESTS_INTEGRATION_INBOX_FIXTURE_H

#include <inbox/inbox.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/integration/db_fixture.h"

/* Like db_create and db_drop, with the tables of the inbox, including inbox_newest. */
struct db *inbox_fixture_create(void);
void inbox_fixture_drop(struct db *db);

/* The calls of the libraries; a db may be NULL. A thread that has used them calls inbox_fixture_end_thread at its
 * end. */
inbox_result inbox_fixture_claim_many(struct db *tx, const char *consumer,
                                      const struct inbox_id *ids, size_t id_count,
                                      inbox_verdict *ret_verdicts, struct inbox_error *reterr);
inbox_result inbox_fixture_claim(struct db *tx, const char *consumer, const void *message_id,
                                 size_t message_id_length, inbox_verdict *ret_verdict,
                                 struct inbox_error *reterr);
inbox_result inbox_fixture_advance(struct db *tx, const char *consumer, const void *key,
                                   size_t key_length, int64_t version, inbox_verdict *ret_verdict,
                                   struct inbox_error *reterr);
inbox_result inbox_fixture_forget(struct db *db, uint64_t age_s, uint32_t limit,
                                  uint64_t *ret_forgotten, struct inbox_error *reterr);
void inbox_fixture_end_thread(void);

/* Checks that the tables guard ids and states: libinbox-mysql does so when a handle is made, libinbox-pg in each call.
 * Not within a transaction. */
inbox_result inbox_fixture_look(struct db *db, struct inbox_error *reterr);

/* The statements of docs/CONSUMING.md for other languages. True if the message is to be applied. */
bool inbox_fixture_claim_by_hand(struct db *tx, const char *consumer, const char *message_id);
bool inbox_fixture_advance_by_hand(struct db *tx, const char *consumer, const char *key,
                                   int version);

/* Statements that differ between the kinds. */
enum inbox_fixture_sql {
    INBOX_SQL_PARTITIONS_BY_LIST, /* of consumers: billing, mail */
    INBOX_SQL_PARTITIONS_BY_HASH, /* of ids */
    INBOX_SQL_PARTITIONS_BY_TIME,
    INBOX_SQL_WITHOUT_KEY,
    INBOX_SQL_NEWEST_WITHOUT_KEY,
    INBOX_SQL_COUNT
};
const char *inbox_fixture_sql(enum inbox_fixture_sql which);

/* An error as struct inbox_error has it; `words` are a part of the message. */
struct inbox_fixture_words {
    const char *sqlstate;
    const char *words;
};
enum inbox_fixture_error {
    INBOX_WORDS_LOCKED,
    INBOX_WORDS_DEADLOCK,
    INBOX_WORDS_ANOTHER_INDEX, /* a unique index that is not the inbox's: "somebodys" */
    INBOX_WORDS_DENIED,
    INBOX_WORDS_READ_ONLY,
    INBOX_WORDS_LOST, /* the connection; with any SQLSTATE */
    INBOX_WORDS_NO_INBOX_TABLE,
    INBOX_WORDS_WITHOUT_KEY,
    INBOX_WORDS_PARTITIONS_BY_TIME,
    INBOX_WORDS_NEWEST_WITHOUT_KEY,
    INBOX_WORDS_COUNT
};
struct inbox_fixture_words inbox_fixture_words(enum inbox_fixture_error which);

/* True if a verdict at "repeatable read" includes what was committed after the transaction first read. If not, the
 * result is INBOX_RETRY, because the transaction could not see the rows. */
bool inbox_fixture_sees_all(void);

#endif
