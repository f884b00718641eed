/* tests/integration/init_fixture.h - `init` in an empty database of the kind that db_fixture.h says, through the command line: what
 * it says, and what in its words differs by kind. Whatever goes wrong here fails the test. */
#ifndef TESTS_INTEGRATION_INIT_FIXTURE_H
#define TESTS_INTEGRATION_INIT_FIXTURE_H

#include "base/error.h"
#include "tests/integration/db_fixture.h"

extern struct db *init_db;

/* Makes it, with a source that polls, in a directory of the test's own; and takes it away. */
void init_set_up(void);
void init_tear_down(void);

/* relay.conf, with such settings of the source: "mode = tail"; and as another account, whose password is "pw". */
void init_configure(const char *settings);
void init_configure_as(const char *account, const char *settings);

/* How lines of the source begin. */
#define INIT_PROBLEM "problem  source \"orders\": "
#define INIT_ADVICE "advice   source \"orders\": "
#define INIT_OK "ok       source \"orders\": "

/* `init` is run, and says this. */
void init_expect(int status, const char *format, ...) PRINTF_LIKE(2, 3);

/* Lines that all kinds say. */
#define INIT_THERE INIT_OK "the tables are there already, nothing to do\n"
#define INIT_REPAIRED INIT_OK "the tables were there already, and are now as they were made\n"

/* Runs what `init --print` printed, as an administrator does. */
void init_run_printed(const char *sql);

/* Of what there are words. */
enum init_words {
    INIT_WORDS_CREATED,  /* a line: the tables, and who needs which rights */
    INIT_WORDS_MIGRATED, /* a line: those of the relay beside the outbox, and the same */
    INIT_WORDS_VERSION,  /* of the tables of the relay */
    INIT_WORDS_LOG,      /* a line: the log can be read, and by whom */
    INIT_WORDS_FOREIGN,  /* what to do where there is an outbox that init has not made */
    INIT_WORDS_LOCKED,   /* the limit on the key cannot be put back, for somebody writes */
    INIT_WORDS_LIMIT,    /* that limit */
    INIT_WORDS_MAY_NOT,  /* the account may not */
    INIT_WORDS_SECOND_PART, /* stands before what is to be run of the printed where the outbox is there already */
    INIT_WORDS_COUNT,
};
const char *init_words(enum init_words which);

#endif
