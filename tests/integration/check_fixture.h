/* tests/integration/check_fixture.h - `check` on a database with an outbox and a role that has what a relay needs, of the kind that
 * db_fixture.h says: what it says, and what in its words differs by kind. Whatever goes wrong here fails the test. */
#ifndef TESTS_INTEGRATION_CHECK_FIXTURE_H
#define TESTS_INTEGRATION_CHECK_FIXTURE_H

#include "base/error.h"
#include "tests/integration/db_fixture.h"

struct check_scene {
    struct db *db;
    char role[64];
};
extern struct check_scene check_scene;

/* Makes them, in a directory of the test's own, with a source that polls, so that what is not about the log is told by itself; and
 * takes them away. */
void check_set_up(void);
void check_tear_down(void);

/* relay.conf, with such settings of the source: "mode = tail exchange = x". */
void check_configure(const char *settings);
#define CHECK_POLL "mode = poll exchange = \"amq.topic\""

/* The role may also read the log. */
void check_let_read_log(void);

/* How lines of the source begin. */
#define CHECK_PROBLEM "problem  source \"orders\": "
#define CHECK_ADVICE "advice   source \"orders\": "
#define CHECK_OK "ok       source \"orders\": "

/* `check` is run, and connects to both servers. What it says beside the lines of "ok" is this, in which ROLE is the role, and how many
 * of that are problems. */
void check_expect(const char *format, ...) PRINTF_LIKE(1, 2);
void check_expect_good(void); /* no such lines */

/* And these lines of "ok" were among the others, in this order. */
void check_expect_ok(const char *lines);

/* Of what there are words. */
enum check_words {
    CHECK_WORDS_GOOD,         /* all lines behind the one of the connection where all is well */
    CHECK_WORDS_PLACE,        /* what stands before the name of a table */
    CHECK_WORDS_NO_TABLES,    /* no outbox */
    CHECK_WORDS_FOREIGN,      /* an outbox that init has not made */
    CHECK_WORDS_NO_HELD,      /* no tables for held messages */
    CHECK_WORDS_HELD_VERSION, /* version 9 of these */
    CHECK_WORDS_SENT,         /* no rights to outbox_sent_batch */
    CHECK_WORDS_DELETE,       /* no right to delete from the outbox, and to update what is held */
    CHECK_WORDS_ADDED,        /* columns "tenant" and "a b" of the outbox */
    CHECK_WORDS_COMPUTED,     /* SQL: the form of a column with twice the id, which is never null */
    CHECK_WORDS_NO_VALUE,     /* a column "tenant" of outbox_held that nothing gives a value */
    CHECK_WORDS_NO_COLUMN,    /* no column "headers" of outbox_held */
    CHECK_WORDS_NO_LIMIT,     /* the limit on the key was dropped */
    CHECK_WORDS_REFUSED,      /* a server that does not listen */
    CHECK_WORDS_DENIED,       /* a password that is wrong */
    CHECK_WORDS_LOG,          /* lines of a log that can be read */
    CHECK_WORDS_LOG_DENIED,   /* a log that the role may not read */
    CHECK_WORDS_COUNT,
};
const char *check_words(enum check_words which);

#endif
