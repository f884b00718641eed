/* tests/integration/inbox_fixture_private.h - the functions of a kind of database for inbox_fixture.c; a `conn` is a
 * PGconn or a MYSQL. */
#ifndef TESTS_INTEGRATION_INBOX_FIXTURE_PRIVATE_H
#define TESTS_INTEGRATION_INBOX_FIXTURE_PRIVATE_H

#include "tests/integration/inbox_fixture.h"

struct inbox_fixture_kind {
    void (*load)(void *conn);
    void (*unload)(void);
    inbox_result (*claim_many)(void *tx, const char *consumer, const struct inbox_id *ids,
                               size_t id_count, inbox_verdict *ret_verdicts,
                               struct inbox_error *reterr);
    inbox_result (*claim)(void *tx, const char *consumer, const void *message_id,
                          size_t message_id_length, inbox_verdict *ret_verdict,
                          struct inbox_error *reterr);
    inbox_result (*advance)(void *tx, const char *consumer, const void *key, size_t key_length,
                            int64_t version, inbox_verdict *ret_verdict,
                            struct inbox_error *reterr);
    inbox_result (*forget)(void *conn, uint64_t age_s, uint32_t limit, uint64_t *ret_forgotten,
                           struct inbox_error *reterr);
    void (*end_thread)(void);
    inbox_result (*look)(void *conn, struct inbox_error *reterr);
    bool (*claim_by_hand)(void *tx, const char *consumer, const char *message_id);
    bool (*advance_by_hand)(void *tx, const char *consumer, const char *key, int version);
    const char *sql[INBOX_SQL_COUNT];
    struct inbox_fixture_words words[INBOX_WORDS_COUNT];
    bool sees_all;
};

extern const struct inbox_fixture_kind inbox_fixture_postgres;
extern const struct inbox_fixture_kind inbox_fixture_mysql;

#endif
