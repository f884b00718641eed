/* tests/integration/write_fixture.h - an application that writes by the library for its kind of database: liboutbox-pg or
 * liboutbox-mysql. */
#ifndef TESTS_INTEGRATION_WRITE_FIXTURE_H
#define TESTS_INTEGRATION_WRITE_FIXTURE_H

#include <outbox/outbox.h>
#include <stdbool.h>
#include <stddef.h>

#include "tests/integration/db_fixture.h"

/* Within the transaction that is open. */
outbox_result write_fixture_message(struct db *tx, const struct outbox_message *message,
                                    struct outbox_error *reterr);
outbox_result write_fixture_many(struct db *tx, const struct outbox_message *messages, size_t count,
                                 struct outbox_id *ret_ids, struct outbox_error *reterr);

/* Statements that are other ones for each kind. */
enum write_fixture_sql {
    WRITE_SQL_HOLDS_PLACES,    /* whoever inserts into the outbox waits for this transaction */
    WRITE_SQL_LOSES,           /* of a deadlock this session is the victim, and not one that */
    WRITE_SQL_WINS,            /* has said this, and changed more rows */
    WRITE_SQL_LAX,             /* what does not fit is cut, where the server does that */
    WRITE_SQL_WITHOUT_TYPE,    /* the outbox */
    WRITE_SQL_WITHOUT_TRIGGER, /* the one that makes payload of payload_text */
    WRITE_SQL_COUNT
};
const char *write_fixture_sql(enum write_fixture_sql which);

/* What the server says of an error, as a struct outbox_error has it: `words` are a part of the message. */
struct write_fixture_words {
    const char *sqlstate;
    const char *words;
};
enum write_fixture_error {
    WRITE_WORDS_LOCKED,
    WRITE_WORDS_DEADLOCK,
    WRITE_WORDS_DENIED, /* to insert */
    WRITE_WORDS_READ_ONLY,
    WRITE_WORDS_LOST, /* the connection; with any SQLSTATE */
    WRITE_WORDS_NO_TYPE,
    WRITE_WORDS_NO_OUTBOX,
    WRITE_WORDS_NO_SCHEMA,
    WRITE_WORDS_BROKEN_JSON, /* this and the following with any SQLSTATE */
    WRITE_WORDS_NO_ID,       /* a message_id that is none */
    WRITE_WORDS_NO_TIME,
    WRITE_WORDS_NO_KEY, /* of a message that waits behind another one of its key */
    WRITE_WORDS_COUNT
};
struct write_fixture_words write_fixture_words(enum write_fixture_error which);

/* Inserts a payload_text as a driver binds it. */
void write_fixture_text(struct db *db, const char *text);

/* Whether the server knows INSERT … RETURNING. */
bool write_fixture_returns(struct db *db);

/* Makes the tables in a database without an outbox, by the commands in the comments of their files. */
void write_fixture_make_by_hand(void);

/* Whether a transaction goes on after a statement that failed. */
bool write_fixture_goes_on(void);

/* The kind's: `conn` is a PGconn or a MYSQL. */
struct write_fixture_kind {
    outbox_result (*many)(void *conn, const struct outbox_message *messages, size_t count,
                          struct outbox_id *ret_ids, struct outbox_error *reterr);
    void (*text)(void *conn, const char *text);
    bool (*returns)(void *conn);
    void (*make_by_hand)(void);
    const char *sql[WRITE_SQL_COUNT];
    struct write_fixture_words words[WRITE_WORDS_COUNT];
    bool goes_on;
};
extern const struct write_fixture_kind write_fixture_postgres;
extern const struct write_fixture_kind write_fixture_mysql;

#endif
