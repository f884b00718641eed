/* tests/integration/inbox_fixture.h - libinbox-pg over PostgreSQL, libinbox-mysql over MariaDB and MySQL: the same calls, with a
 * connection of db_fixture.h. What libinbox-mysql needs beside one is made by inbox_fixture_create. */
#ifndef TESTS_INTEGRATION_INBOX_FIXTURE_H
#define TESTS_INTEGRATION_INBOX_FIXTURE_H

#include <inbox/inbox.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/integration/db_fixture.h"

/* As db_create and db_drop, with the tables of the inbox, inbox_newest among them. */
struct db *inbox_fixture_create(void);
void inbox_fixture_drop(struct db *db);

/* The libraries' calls; a db may be NULL. A thread that has called them calls inbox_fixture_end_thread at its end. */
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

/* Whether the tables guard ids and states: libinbox-mysql looks when an inbox is made, libinbox-pg each time. Outside of a
 * transaction. */
inbox_result inbox_fixture_look(struct db *db, struct inbox_error *reterr);

/* As docs/CONSUMING.md says it for other languages: true if the message is to be applied. */
bool inbox_fixture_claim_by_hand(struct db *tx, const char *consumer, const char *message_id);
bool inbox_fixture_advance_by_hand(struct db *tx, const char *consumer, const char *key,
                                   int version);

/* Statements that are other ones for each kind. */
enum inbox_fixture_sql {
    INBOX_SQL_PARTITIONS_BY_LIST, /* of consumers: billing, mail */
    INBOX_SQL_PARTITIONS_BY_HASH, /* of ids */
    INBOX_SQL_PARTITIONS_BY_TIME,
    INBOX_SQL_WITHOUT_KEY,
    INBOX_SQL_NEWEST_WITHOUT_KEY,
    INBOX_SQL_COUNT
};
const char *inbox_fixture_sql(enum inbox_fixture_sql which);

/* What the server says of an error, as a struct inbox_error has it: `words` are a part of the message. */
struct inbox_fixture_words {
    const char *sqlstate;
    const char *words;
};
enum inbox_fixture_error {
    INBOX_WORDS_LOCKED,
    INBOX_WORDS_DEADLOCK,
    INBOX_WORDS_ANOTHER_INDEX, /* a unique one that is not the inbox's: "somebodys" */
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

/* Whether a verdict counts what was committed after a transaction at "repeatable read" has first read. If not, it is
 * INBOX_RETRY: the transaction could not read what it means. */
bool inbox_fixture_sees_all(void);

#endif
